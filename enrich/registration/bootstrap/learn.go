package bootstrap

import (
	"maps"
	"time"

	"github.com/whence-project/whence/enrich/registration/whoisclient"
)

// maxLearned is how many suffixes are learned at most. There are fewer top-level domains.
const maxLearned = 4096

// learned is a WHOIS server that was referred to.
type learned struct {
	server whoisclient.Server
	until  time.Time
}

// Learn takes in that s is the WHOIS server of the domains under a suffix, until then. It counts where neither an override nor a
// table names one. Where too many are known, what is forgotten soonest makes room.
func (b *Bootstrap) Learn(suffix string, s whoisclient.Server, until time.Time) {
	suffix = spell(suffix)
	if suffix == "" || s.Host == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.view.Load()
	all := maps.Clone(old.learned)
	if all == nil {
		all = make(map[string]learned)
	}
	if _, ok := all[suffix]; !ok && len(all) >= maxLearned {
		makeRoom(all, b.opt.Now())
	}
	all[suffix] = learned{Complete(s), until}
	b.view.Store(&view{files: old.files, learned: all})
}

// makeRoom drops what has expired, or else what does so soonest.
func makeRoom(all map[string]learned, now time.Time) {
	maps.DeleteFunc(all, func(_ string, l learned) bool { return !now.Before(l.until) })
	if len(all) < maxLearned {
		return
	}
	soonest, at := "", time.Time{}
	for suffix, l := range all {
		if soonest == "" || l.until.Before(at) {
			soonest, at = suffix, l.until
		}
	}
	delete(all, soonest)
}

// refer adds the server that was learned for a suffix no shorter than the one that the tables have, unless they have a server, or
// know that there is none.
func (b *Bootstrap) refer(v *view, s *Services, name string, none bool) {
	if none || s.Whois.Host != "" || len(v.learned) == 0 {
		return
	}
	for suffix := name; suffix != ""; suffix = above(suffix) {
		l, ok := v.learned[suffix]
		if !ok || len(suffix) < len(s.Suffix) || !b.opt.Now().Before(l.until) {
			continue
		}
		s.Whois = l.server
		if len(s.RDAP) == 0 {
			s.Suffix, s.Origin = suffix, Referred
		}
		return
	}
}
