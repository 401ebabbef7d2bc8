package enrich

import (
	"errors"
	"net/netip"
)

// MaxRange is the most prefixes that ParseSubjects makes of one range.
const MaxRange = 256

// ParseSubject makes a Subject of one word.
func ParseSubject(s string) (Subject, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return AddressOf(a), nil
	}
	return Subject{}, errors.New("not yet")
}
