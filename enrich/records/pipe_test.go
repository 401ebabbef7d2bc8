//go:build unix

package records

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/zap"
)

func TestPipeIsNotRead(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Skip(err)
	}
	s, logs := open(t, Options{Dir: dir})
	if ask(t, s, "pipe") != notFound || logs.FilterField(zap.String("problem", "not a regular file")).Len() != 1 {
		t.Errorf("log: %v", logs.All())
	}
	l := &loader{maxFile: 10}
	var err error
	if l.root, err = os.OpenRoot(dir); err != nil {
		t.Fatal(err)
	}
	defer l.root.Close()
	if _, _, err := l.read("pipe"); err == nil { // as if it had come after the looking
		t.Error("a pipe was read")
	}
}
