// Package hotstatus says of a source's files, in the chain's words, how they are.
package hotstatus

import (
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/hotfiles"
)

// Of is the status of a source of that kind whose files have status s. Errors may quote what stands in a file, so they are
// cleaned.
func Of(kind string, s hotfiles.Status) enrich.Status {
	st := enrich.Status{
		Kind: kind, Generation: s.Generation, Records: s.Records, LastError: enrich.Clean(s.LastError), ErrorTime: s.ErrorTime,
	}
	for _, f := range s.Files {
		st.Data = append(st.Data, enrich.DataStatusOf(f))
	}
	return st
}

// News is what hears of a source's files in the chain's words, as a set of files takes it; nil for nil.
func News(hear func(enrich.DataStatus)) func(hotfiles.FileStatus) {
	if hear == nil {
		return nil
	}
	return func(f hotfiles.FileStatus) { hear(enrich.DataStatusOf(f)) }
}
