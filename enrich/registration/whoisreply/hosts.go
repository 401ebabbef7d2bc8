package whoisreply

import "strings"

// cleanHost is s as the names of a Reply are written: lower case, no final dot.
func cleanHost(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

// isHost reports whether s is written like the full name of a host, and is no address. Unicode is allowed in domain names.
func isHost(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) < 4 || len(s) > 253 || s == "not.defined" {
		return false
	}
	dots, label := 0, 0
	alpha := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.':
			if label == 0 {
				return false
			}
			dots, label, alpha = dots+1, 0, false
			continue
		case isLetter(c):
			alpha = true
		case isDigit(c), c == '-', c == '_':
		default:
			return false
		}
		label++
	}
	return dots > 0 && label > 1 && alpha
}

// isGlue reports whether s is an address beside a name server, or the sign between the two.
func isGlue(s string) bool {
	if s == "-" || s == ":" || s == "/" || s == "," {
		return true
	}
	s = strings.Trim(s, "[](),;")
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isDigit(c) && c != '.' && c != ':' && c != '/' && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return strings.ContainsAny(s, ".:")
}

// nextWord cuts the first word off s, at space, comma and semicolon.
func nextWord(s string) (word, rest string) {
	i := 0
	for i < len(s) && (isSpace(s[i]) || s[i] == ',' || s[i] == ';') {
		i++
	}
	j := i
	for j < len(s) && !isSpace(s[j]) && s[j] != ',' && s[j] != ';' {
		j++
	}
	return s[i:j], s[j:]
}

// hostLine reports whether a line without a key is name servers and their addresses, and nothing else.
func hostLine(s string) bool {
	s = strings.TrimPrefix(s, "- ")
	hosts := 0
	for i := 0; ; i++ {
		var w string
		if w, s = nextWord(s); w == "" {
			return hosts > 0
		}
		switch {
		case isHost(strings.Trim(w, "[]()")) && !strings.HasPrefix(w, "www."):
			hosts++
		case i > 0 && (isGlue(w) || w[0] == '[' || w[0] == '('):
		default:
			return false
		}
	}
}

// addHosts adds the name servers that a value names.
func (p *parser) addHosts(s string) {
	if _, rest := nextWord(s); len(rest) > 4 { // "example.org NS ns1.example.net.", as in a zone file
		if w, rest := nextWord(rest); w == "NS" {
			s = rest
		}
	}
	for s != "" {
		var w string
		w, s = nextWord(s)
		w = strings.Trim(w, "[]()\"'*")
		if !isHost(w) {
			if i := strings.IndexByte(w, '('); i > 0 && isHost(w[:i]) { // "ns1.example.org(192.0.2.1)"
				w = w[:i]
			} else if i := strings.IndexByte(w, '['); i > 0 && isHost(w[:i]) {
				w = w[:i]
			} else if i := strings.IndexByte(w, '/'); i > 0 && isHost(w[:i]) && isGlue(w[i+1:]) {
				w = w[:i]
			} else if i := strings.IndexByte(w, ':'); i > 0 && isHost(w[:i]) && isGlue(w[i+1:]) {
				w = w[:i]
			} else {
				continue
			}
		}
		p.addTo(&p.reply.NameServers, cleanHost(w))
	}
}

// addTo adds a value to a list that repeats nothing.
func (p *parser) addTo(list *[]string, v string) {
	if len(*list) >= maxValues {
		return
	}
	for _, have := range *list {
		if have == v {
			return
		}
	}
	if *list == nil {
		*list = make([]string, 0, 4)
	}
	*list = append(*list, v)
}
