package natsstore

import "strings"

// Subjects have tokens between dots and refuse spaces, control characters, "*", ">" and empty tokens; keys of NATS's key-value
// buckets are letters, digits and "-/_=." only. So a name keeps what is allowed, that of a host all of it, and every other byte
// is "=" and two digits in hex. No two names have one key.

const hexDigits = "0123456789ABCDEF"

// plain are the bytes that stand for themselves in a key, dots apart.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '/'
}

// appendKey appends the key of a name. A dot is one where it makes no empty token.
func appendKey(b []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		if plain(c) || c == '.' && i > 0 && i < len(name)-1 && name[i-1] != '.' {
			b = append(b, c)
		} else {
			b = append(b, '=', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return b
}

// appendToken appends the token of a scope or bucket: a key in which no dot stays, nor a slash, so that it can be part of the name
// of a consumer, which is the name of a folder too.
func appendToken(b []byte, name string) []byte {
	for i := range len(name) {
		if c := name[i]; plain(c) && c != '/' {
			b = append(b, c)
		} else {
			b = append(b, '=', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return b
}

// parseKey is the name that a key or a token stands for.
func parseKey(key string) (name string, ok bool) {
	if strings.IndexByte(key, '=') < 0 {
		return key, key != ""
	}
	b := make([]byte, 0, len(key))
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c == '=' {
			if i+2 >= len(key) {
				return "", false
			}
			high, low := strings.IndexByte(hexDigits, key[i+1]), strings.IndexByte(hexDigits, key[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			c = byte(high<<4 | low)
			i += 2
		}
		b = append(b, c)
	}
	return string(b), true
}

// canonical is parseKey of a key that is how we write it: no other key may stand for the name beside ours.
func canonical(key string) (name string, ok bool) {
	name, ok = parseKey(key)
	return name, ok && string(appendKey(nil, name)) == key
}

// The kinds of subjects in the ledger's bucket, as tokens between that of the scope and the key of the name.
const (
	kindName    = "n" // the record of a name
	kindEarlier = "e" // an earlier first sighting of a name whose record has an event to it, and is not written again
)

// subjects are how the subjects of a bucket begin.
type subjects struct{ bucket string }

func (s subjects) prefix() string { return "$KV." + s.bucket + "." }
func (s subjects) all() string    { return s.prefix() + ">" }

// of is the subject of a name.
func (s subjects) of(scope, kind, name string) string {
	b := make([]byte, 0, len(s.bucket)+len(scope)+len(name)+16)
	b = append(b, "$KV."...)
	b = append(b, s.bucket...)
	b = appendToken(append(b, '.'), scope)
	b = append(append(b, '.'), kind...)
	return string(appendKey(append(b, '.'), name))
}

// every is the subject of every name of a scope.
func (s subjects) every(scope, kind string) string {
	return string(appendToken([]byte(s.prefix()), scope)) + "." + kind + ".>"
}

// parse takes a subject of the ledger apart.
func (s subjects) parse(subject string) (scope, kind, name string, ok bool) {
	rest, ok := strings.CutPrefix(subject, s.prefix())
	if !ok {
		return "", "", "", false
	}
	token, rest, _ := strings.Cut(rest, ".")
	kind, key, _ := strings.Cut(rest, ".")
	scope, ok1 := parseKey(token)
	name, ok2 := canonical(key)
	if !ok1 || !ok2 || kind != kindName && kind != kindEarlier || !valid(scope, name) {
		return "", "", "", false
	}
	return scope, kind, name, true
}
