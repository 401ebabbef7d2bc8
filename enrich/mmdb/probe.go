package mmdb

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/whence-project/whence/enrich"
)

// probed are addresses that are asked about where a database is tried out. It need not have them.
var probed = []netip.Addr{
	netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("192.0.2.1"),
	netip.MustParseAddr("2001:4860:4860::8888"), netip.MustParseAddr("2002:808:808::1"),
}

// Probe reads the database at path as a [Source] with the same options does, asks it about a few addresses, and says what it is. Its
// error is why the file must not serve.
func Probe(ctx context.Context, path string, o Options) (enrich.DataStatus, error) {
	db, err := load(ctx, path, o.limits())
	if err != nil {
		return enrich.DataStatus{}, short(err)
	}
	if len(db.offsets) == 0 {
		return enrich.DataStatus{}, errors.New("there are no records in it")
	}
	for _, a := range probed {
		if record, _ := db.tree.lookup(a); record >= 0 && db.build(record) == nil {
			return enrich.DataStatus{}, fmt.Errorf("its record of %s cannot be read", a)
		}
	}
	return db.status(path), nil
}

// status says what a database is.
func (db *database) status(path string) enrich.DataStatus {
	return enrich.DataStatus{
		Path: path, Type: db.typ, Built: db.origin.Built, Records: len(db.offsets), Bytes: db.size,
		Licence: db.licence, Attribution: db.origin.Attribution,
	}
}
