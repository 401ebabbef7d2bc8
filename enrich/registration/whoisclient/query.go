package whoisclient

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	maxName  = 253 // bytes of a domain name (RFC 1035 §2.3.4), in U-labels too: more than any registry has
	maxQuery = 1024
)

// Check says what is wrong with a server that was not made by [ParseServer]: its host, its query, its charset.
func (s Server) Check() error {
	if _, err := ParseServer(s.Addr()); err != nil {
		return err
	}
	if s.Query != "" && !strings.Contains(s.Query, "%s") {
		return fmt.Errorf("WHOIS server %s: the query %q has no %%s for the name", s, s.Query)
	}
	if _, err := s.line("example.org"); err != nil {
		return fmt.Errorf("WHOIS server %s: %w", s, err)
	}
	if s.Charset != "" {
		if _, _, ok := charsetOf(s.Charset); !ok {
			return fmt.Errorf("WHOIS server %s: charset %q is not known", s, s.Charset)
		}
	}
	return nil
}

// line is what is sent for name, with its CR LF.
func (s Server) line(name string) (string, error) {
	name, err := s.spell(name)
	if err != nil {
		return "", err
	}
	query := s.Query
	if query == "" {
		query = "%s"
	}
	query = strings.ReplaceAll(query, "%s", name)
	if len(query) > maxQuery || strings.ContainsAny(query, "\r\n\x00") {
		return "", fmt.Errorf("the query %.80q is longer than %d bytes or more than one line", query, maxQuery)
	}
	return query + "\r\n", nil
}

// spell is name in the labels that the server wants.
func (s Server) spell(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	switch ascii := isASCII(name); {
	case !ascii && !s.Unicode:
		a, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("%q is no domain name: %w", name, err)
		}
		name = a
	case ascii && s.Unicode:
		if u, err := idna.Lookup.ToUnicode(name); err == nil && checkName(u) == nil { // else it is asked for as it is
			name = u
		}
	}
	return name, nil
}

// checkName keeps a name from being more than one: another query, an option ("-T"), a command ("=", "!") of servers that have them.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("a name has 1 to %d bytes", maxName)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("%q is not UTF-8", name)
	}
	for i, r := range name {
		switch {
		case r == '\u200c', r == '\u200d': // joiners are part of names in some scripts (RFC 5892 appendix A)
		case unicode.IsSpace(r), !unicode.IsPrint(r), r == utf8.RuneError:
			return fmt.Errorf("%q has a space or control character", name)
		case i == 0 && r < utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != ':':
			return fmt.Errorf("%q does not begin as a name does", name)
		}
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
