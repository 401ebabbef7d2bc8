package manners

import (
	"fmt"
	"net/netip"
)

// What follows is for machines that share the limits of one operator: one of them asks, and when another takes over from it, it takes
// over what has been used up.

// Networks are what operator takes for one client each, of the addresses that we ask from. The zero Prefix is all that we have,
// wherever it comes from, or an address that we do not know.
func (m *Manners) Networks(operator string) []netip.Prefix {
	m.mu.Lock()
	defer m.mu.Unlock()
	limit := m.table.Load().rule(operator).limit
	if len(m.opt.Sources) == 0 {
		return []netip.Prefix{{}}
	}
	var list []netip.Prefix
	seen := make(map[netip.Prefix]bool)
	for _, a := range m.opt.Sources {
		if n := limit.clientOf(a); !seen[n] {
			seen[n] = true
			list = append(list, n)
		}
	}
	return list
}

// Sources are the addresses that we ask from, where they are configured.
func (m *Manners) Sources() []netip.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.opt.Sources
}

// PerClient reports that operator counts by address, so that machines elsewhere have limits of their own.
func (m *Manners) PerClient(operator string) bool {
	limit := m.table.Load().rule(operator).limit
	return limit.Bits4 > 0 || limit.Bits6 > 0
}

// SaveOperator is [Manners.Save] of one operator, for [Manners.Adopt].
func (m *Manners) SaveOperator(name string) []byte {
	s := m.snapshot()
	for _, o := range s.Operators {
		if o.Name == name {
			s.Operators = []savedOperator{o}
			return s.encode()
		}
	}
	s.Operators = nil
	return s.encode()
}

// Adopt is [Manners.Restore] in place of what is known here: whoever saved b asked until now, and knew what had been used up before.
func (m *Manners) Adopt(operator string, b []byte) error {
	s, err := parseSaved(b)
	if err != nil {
		return fmt.Errorf("limits that another machine used up: %w", err)
	}
	m.mu.Lock()
	if s.ID != m.id {
		if op := m.operators[operator]; op != nil {
			for _, c := range op.clients {
				c.quotas = newQuotas(op.rule.limit.Rates)
			}
		}
	}
	m.mu.Unlock()
	return m.Restore(b)
}
