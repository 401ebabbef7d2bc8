package rank

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/hotfiles"
	"github.com/whence-project/whence/internal/licence"
)

// loader reads files.
type loader struct {
	name        string
	attribution string
	terms       map[string]licence.Terms // by path
	maxBytes    int64
}

func (o *Options) loader() loader {
	l := loader{enrich.Clean(o.Name), enrich.Clean(o.Attribution), o.Terms, o.MaxFile}
	if l.maxBytes <= 0 {
		l.maxBytes = DefaultMaxFile
	}
	return l
}

// Probe reads the list at path as a [Source] with the same options does, and says what it is. Its error is why the file must not
// serve.
func Probe(ctx context.Context, path string, o Options) (enrich.DataStatus, error) {
	l, err := o.loader().load(ctx, path)
	if err != nil {
		return enrich.DataStatus{}, err
	}
	s := enrich.DataStatusOf(describe(l))
	s.Path = path
	return s, nil
}

// load reads one list.
func (o loader) load(ctx context.Context, path string) (*list, error) {
	in, err := hotfiles.Open(path, o.maxBytes)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var b builder
	r, err := read(ctx, in, &b)
	if err != nil {
		return nil, err
	}
	l := b.build()
	l.name, l.format, l.bad, l.bytes = o.name, r.format, r.bad, in.Info.Size()
	if l.name == "" {
		l.name = listName(filepath.Base(path))
	}
	terms := o.terms[path]
	l.licence = terms.Licence
	l.origin = &enrich.Origin{
		Source: "rank", Name: l.name, Built: in.Info.ModTime().UTC().Truncate(time.Second),
		Attribution: cmp.Or(o.attribution, terms.Attribution),
	}
	return l, nil
}
