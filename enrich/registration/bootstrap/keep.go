package bootstrap

import (
	"encoding/json"
	"time"

	"go.uber.org/zap"
)

const (
	bucket  = "bootstrap"
	keptFor = 90 * 24 * time.Hour // since the server last said that a file is current
)

// kept is a file as the cache has it.
type kept struct {
	ETag     string          `json:"etag,omitempty"`
	Modified string          `json:"modified,omitempty"`
	Checked  time.Time       `json:"checked"`
	Body     json.RawMessage `json:"body"`
}

// key is where a file is kept. Those of other folders are other files.
func (b *Bootstrap) key(file int) string { return b.opt.URL + files[file] }

func (b *Bootstrap) keep(file int, h held) {
	if b.opt.Cache == nil {
		return
	}
	value, err := json.Marshal(kept{h.etag, h.modified, h.checked, h.body})
	if err != nil { // no file that was read
		b.opt.Logger.Error("registry of RDAP servers not kept", zap.String("file", files[file]), zap.Error(err))
		return
	}
	b.opt.Cache.Put(bucket, b.key(file), value, h.checked.Add(keptFor))
}

// Load takes the files that the cache has, in place of none. It asks nobody.
func (b *Bootstrap) Load() {
	if b.opt.Cache == nil || b.opt.URL == "" {
		return
	}
	b.refreshing.Lock()
	defer b.refreshing.Unlock()
	for i := range files {
		value, _, ok := b.opt.Cache.Get(bucket, b.key(i))
		if !ok || b.held[i].registry != nil {
			continue
		}
		var k kept
		err := json.Unmarshal(value, &k)
		if err == nil {
			var r *registry
			if r, err = parseFile(i, k.Body); err == nil {
				b.install(i, held{registry: r, body: k.Body, etag: k.ETag, modified: k.Modified, checked: k.Checked})
				continue
			}
		}
		b.opt.Logger.Warn("registry of RDAP servers in the cache is not sound", zap.String("file", files[i]), zap.Error(err))
		b.opt.Cache.Delete(bucket, b.key(i))
	}
}
