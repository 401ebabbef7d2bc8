package registry

import (
	"net/netip"
	"slices"
	"testing"
)

func TestMerge(t *testing.T) {
	for _, test := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"10.0.0.0/8"}, []string{"10.0.0.0/8"}},
		{[]string{"224.0.0.0/8", "225.0.0.0/8", "226.0.0.0/8", "227.0.0.0/8"}, []string{"224.0.0.0/6"}},
		{[]string{"225.0.0.0/8", "226.0.0.0/8"}, []string{"225.0.0.0/8", "226.0.0.0/8"}},
		{[]string{"224.0.0.0/8", "225.0.0.0/8", "226.0.0.0/8"}, []string{"224.0.0.0/7", "226.0.0.0/8"}},
	} {
		var in []netip.Prefix
		for _, p := range test.in {
			in = append(in, netip.MustParsePrefix(p))
		}
		var got []string
		for _, p := range merge(in) {
			got = append(got, p.String())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %s, want %s", test.in, got, test.want)
		}
	}
}
