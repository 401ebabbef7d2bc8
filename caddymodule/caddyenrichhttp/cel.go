package caddyenrichhttp

import (
	"reflect"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// CELLibrary gives expressions the function enrich: the words of a condition, a value first if it is not about the client's address.
// The braces of such a value are escaped, so that it is the matcher's to replace.
//
//	expression enrich('country_code', 'DE', 'FR')
//	expression enrich('\{http.request.uri.query.ip}', 'asn', 'AS64496')
func (*Match) CELLibrary(ctx caddy.Context) (cel.Library, error) {
	// Every expression of a configuration has the function; the chain is looked for where it is called, and once: conditions with
	// placeholders are made anew for each request.
	doorOf := sync.OnceValues(func() (*door, error) { return doorTo(ctx, "") })
	return caddyhttp.CELMatcherImpl("enrich", "enrich_request_list", []*cel.Type{cel.ListType(cel.StringType)},
		func(data ref.Val) (caddyhttp.RequestMatcherWithError, error) {
			words, err := data.ConvertToNative(reflect.TypeFor[[]string]())
			if err != nil {
				return nil, err
			}
			c, err := conditionOf(words.([]string))
			if err != nil {
				return nil, err
			}
			d, err := doorOf()
			if err != nil {
				return nil, err
			}
			c.provision(d)
			return &Match{c}, nil
		})
}

// Interface guard
var _ caddyhttp.CELLibraryProducer = (*Match)(nil)
