package caddydotforward

import (
	"encoding/binary"
	"net/http"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/dotforward/lists"
)

// mostShown is how many answers of the cache are listed.
const mostShown = 1000

// showCache writes how the cache is, and with ?name= the answers that it has about a name; with below=true also about all below it.
func showCache(w http.ResponseWriter, r *http.Request, a *App) error {
	q, err := adminapi.QueryOf(r, "name", "below")
	if err != nil {
		return err
	}
	below, err := q.Bool("below")
	if err != nil {
		return err
	}
	out := struct {
		cacheStatus
		Answers []cachedAnswer `json:"answers,omitempty"`
	}{cacheStatus: statusOf(a.cache.Stats())}
	if below || q.Has("name") {
		name, err := nameOf(q.Get("name"))
		if err != nil {
			return err
		}
		for _, e := range a.cache.Find(name, below, mostShown, time.Now()) {
			out.Answers = append(out.Answers, answerOf(&e))
		}
	}
	return adminapi.Reply(w, http.StatusOK, out)
}

// cachedAnswer is an answer in the cache. Clients with DO or CD set have answers of their own.
type cachedAnswer struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	DO    bool   `json:"do"`
	CD    bool   `json:"cd"`
	Rcode string `json:"rcode"`
	State string `json:"state"` // fresh or stale
	Left  uint32 `json:"left"`  // seconds
	Age   uint32 `json:"age"`   // seconds
	Uses  uint16 `json:"uses"`
	Size  int    `json:"size"` // in bytes, with all that is kept beside it
}

func answerOf(e *cache.Entry) cachedAnswer {
	question := e.Key.Question
	name, at, err := dns.UnpackDomainName(question, 0)
	if err != nil || len(question) < at+2 {
		name, at = "?", len(question)-4 // the cache has none such
	}
	return cachedAnswer{
		Name: name, Type: dns.Type(binary.BigEndian.Uint16(question[at:])).String(), DO: e.Key.DO, CD: e.Key.CD,
		Rcode: dns.RcodeToString[int(e.Rcode)], State: e.State.String(), Left: e.TTL, Age: e.Age, Uses: e.Uses, Size: e.Size,
	}
}

// purgeCache forgets answers: about ?name=, which may be repeated, with below=true also about all below it; or, with all=true, all.
func purgeCache(w http.ResponseWriter, r *http.Request, a *App) error {
	q, err := adminapi.QueryOf(r, "name", "below", "all")
	if err != nil {
		return err
	}
	what, err := q.What()
	if err != nil {
		return err
	}
	below, err := q.Bool("below")
	if err != nil {
		return err
	}
	var names [][]byte
	for _, text := range what.Names {
		name, err := nameOf(text)
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	if names == nil {
		names, below = [][]byte{{0}}, true
	}
	n := 0
	for _, name := range names {
		n += a.cache.Purge(name, below)
	}
	a.logger.Info("answers forgotten", zap.Strings("names", what.Names), zap.Bool("below", below), zap.Int("removed", n))
	return adminapi.Reply(w, http.StatusOK, map[string]int{"removed": n})
}

// nameOf is a name in wire form.
func nameOf(text string) ([]byte, error) {
	name, ok := lists.AppendName(nil, []byte(text))
	if !ok {
		return nil, adminapi.Failf(http.StatusBadRequest, "name=%s: no domain name", text)
	}
	return name, nil
}
