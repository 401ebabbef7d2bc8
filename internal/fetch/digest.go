package fetch

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/dunglas/httpsfv"
)

// digests are the checksums that a response's header has, and what they are held against.
type digests []*digest

type digest struct {
	name string
	want []byte
	hash.Hash
}

var algorithms = map[string]func() hash.Hash{"sha-256": sha256.New, "sha-512": sha512.New}

// digestsOf reads Content-Digest and Repr-Digest (RFC 9530 §2, §3), and Digest (RFC 3230 §4.3.2), which some servers still send. What
// is no checksum, or one of another algorithm, is left out.
func digestsOf(h http.Header) (ds digests) {
	add := func(algorithm string, want []byte) {
		if algorithm = strings.ToLower(algorithm); algorithms[algorithm] != nil {
			ds = append(ds, &digest{algorithm, want, algorithms[algorithm]()})
		}
	}
	for _, field := range []string{"Content-Digest", "Repr-Digest"} {
		members, err := httpsfv.UnmarshalDictionary(h.Values(field))
		if err != nil {
			continue
		}
		for _, algorithm := range members.Names() {
			if m, _ := members.Get(algorithm); m != nil {
				if item, ok := m.(httpsfv.Item); ok {
					if want, ok := item.Value.([]byte); ok {
						add(algorithm, want)
					}
				}
			}
		}
	}
	for _, instance := range strings.Split(strings.Join(h.Values("Digest"), ","), ",") {
		algorithm, encoded, _ := strings.Cut(strings.TrimSpace(instance), "=")
		if want, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			add(algorithm, want)
		}
	}
	return ds
}

func (ds digests) writers() (ws []io.Writer) {
	for _, d := range ds {
		ws = append(ws, d)
	}
	return ws
}

func (ds digests) check() error {
	for _, d := range ds {
		if !bytes.Equal(d.Sum(nil), d.want) {
			return &MismatchError{"its " + strings.ToUpper(d.name) + " is not the one in the header of the response"}
		}
	}
	return nil
}
