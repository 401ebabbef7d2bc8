package enrich

import "github.com/whence-project/whence/internal/hotfiles"

// DataStatusOf is the status of a file that is kept loaded. Errors may quote what stands in a file, so they are cleaned.
func DataStatusOf(f hotfiles.FileStatus) DataStatus {
	return DataStatus{
		Path: f.Path, Type: f.Type, Built: f.Built, Loaded: f.Loaded, Records: f.Records, Bytes: f.Bytes,
		Licence: f.Licence, Attribution: f.Attribution, Error: Clean(f.Error), Missing: f.Missing,
	}
}
