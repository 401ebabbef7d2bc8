// Package testenv finds what tests need of their machine: programs, and the real data that tests and benches run on. The data are not
// part of the repository: WHENCE_TESTDATA names their folder, ../shared/data beside the module's root where it is not set.
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Path is the path of a file or folder among the test data. The test is skipped where it is absent.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("WHENCE_TESTDATA")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared", "data")
	}
	path := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		Skip(t, "no test data, set WHENCE_TESTDATA to their folder: %v", err)
	}
	return path
}

// Skip skips a test for want of something that the machine lacks. With WHENCE_NO_SKIP set, as the gate does, it fails it.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("WHENCE_NO_SKIP") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Program is the path of a program that a test runs. The test is skipped where it is not installed; pkg is Debian's package.
func Program(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Skip(t, "no program %s, install it (Debian package %s)", name, pkg)
	}
	return path
}

// Root is the root of the repository: the folder with go.mod above the one that the test runs in.
func Root(t testing.TB) string {
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
