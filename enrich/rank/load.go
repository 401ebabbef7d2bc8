package rank

import (
	"context"
	"path/filepath"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/hotfiles"
)

// loader reads files.
type loader struct {
	name        string
	attribution string
	maxBytes    int64
}

// load reads one list.
func (o loader) load(ctx context.Context, path string) (*list, error) {
	in, err := hotfiles.Open(path, o.maxBytes)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var b builder
	r, err := read(ctx, in, &b)
	if err != nil {
		return nil, err
	}
	l := b.build()
	l.name, l.format, l.bad, l.bytes = o.name, r.format, r.bad, in.Info.Size()
	if l.name == "" {
		l.name = listName(filepath.Base(path))
	}
	l.origin = &enrich.Origin{
		Source: "rank", Name: l.name, Built: in.Info.ModTime().UTC().Truncate(time.Second), Attribution: o.attribution,
	}
	return l, nil
}
