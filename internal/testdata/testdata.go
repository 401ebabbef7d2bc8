// Package testdata finds the real data that tests and benches run on. They are not part of the repository: WHENCE_TESTDATA names
// their folder, ../shared/data beside the module's root where it is not set.
package testdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Path is the path of a file or folder among the test data. The test is skipped where it is absent.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("WHENCE_TESTDATA")
	if dir == "" {
		dir = filepath.Join(moduleRoot(t), "..", "shared", "data")
	}
	path := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no test data, set WHENCE_TESTDATA to their folder: %v", err)
	}
	return path
}

// moduleRoot walks up from the folder that the test runs in to the one with go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the folder of the test")
		}
		dir = up
	}
}
