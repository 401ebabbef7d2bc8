// Command build makes the Debian package of Whence, with the nfpm that packaging/go.mod pins:
//
//	go -C packaging run ./build                    # dist/whence_<version>_<architecture>.deb, for this machine
//	go -C packaging run ./build -arch arm64
//	go -C packaging run ./build -caddy ../caddy    # of a binary that is there, such as one that xcaddy made
//
// Manual pages and shell completions are the binary's own: what it says of itself.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

const dist = "dist" // nfpm.yaml has it, too

func main() {
	var p recipe
	flag.StringVar(&p.arch, "arch", runtime.GOARCH, "architecture, as Go names it")
	flag.StringVar(&p.version, "version", "0.0.0-dev", "version of the package")
	flag.StringVar(&p.binary, "caddy", "", "binary for that architecture, with Whence inside (default: one that is built of this checkout)")
	flag.StringVar(&p.out, "o", dist, "folder for the package")
	flag.Parse()
	if err := p.make(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

type recipe struct{ arch, version, binary, out string }

func (p recipe) make() error {
	if _, err := os.Stat("nfpm.yaml"); err != nil {
		return fmt.Errorf("%w; run it as go -C packaging run ./build", err)
	}
	for _, dir := range []string{"man", "completions"} { // nfpm takes all that it finds there
		if err := os.RemoveAll(filepath.Join(dist, dir)); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dist, dir), 0o755); err != nil {
			return err
		}
	}
	here, err := p.binaries()
	if err != nil {
		return err
	}
	if err := manuals(here); err != nil {
		return err
	}
	if err := completions(here); err != nil {
		return err
	}
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return err
	}
	return run([]string{"ARCH=" + p.arch, "VERSION=" + p.version}, "go", "tool", "nfpm", "package", "--packager", "deb", "--target", p.out)
}

// binaries puts the binary that is packed where nfpm looks for it, and returns one that runs on this machine.
func (p recipe) binaries() (here string, err error) {
	packed, err := filepath.Abs(filepath.Join(dist, "caddy"))
	if err != nil {
		return "", err
	}
	if p.binary != "" {
		err = copyFile(packed, p.binary)
	} else {
		err = build(packed, p.arch)
	}
	if err != nil || p.arch == runtime.GOARCH {
		return packed, err
	}
	here = packed + "-here"
	return here, build(here, runtime.GOARCH)
}

func build(binary, arch string) error {
	return run([]string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch}, "go", "-C", "..", "build", "-trimpath", "-ldflags", "-s -w",
		"-tags", "nobadger,nomysql,nopgx", "-o", binary, "./cmd/caddy")
}

// manuals writes the pages of `caddy whence`, and one named whence. Those of Caddy's own commands are in its package.
func manuals(binary string) error {
	all, err := os.MkdirTemp("", "man")
	if err != nil {
		return err
	}
	defer os.RemoveAll(all)
	if err := run(nil, binary, "manpage", "--directory", all); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(all, "caddy-whence*.8"))
	if err != nil || len(pages) == 0 {
		return errors.Join(err, errors.New("caddy manpage wrote no page of caddy whence"))
	}
	see := filepath.Join(all, "whence.8")
	if err := os.WriteFile(see, []byte(".so man8/caddy-whence.8\n"), 0o644); err != nil {
		return err
	}
	for _, page := range append(pages, see) {
		if err := zip(filepath.Join(dist, "man", filepath.Base(page)+".gz"), page); err != nil {
			return err
		}
	}
	return nil
}

// completions writes what shells load to complete the command line, under the names that they look for.
func completions(binary string) error {
	for shell, name := range map[string]string{"bash": "caddy.bash", "zsh": "_caddy", "fish": "caddy.fish"} {
		script, err := exec.Command(binary, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("caddy completion %s: %w", shell, err)
		}
		if err := os.WriteFile(filepath.Join(dist, "completions", name), script, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func run(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %q: %w", name, args, err)
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	_ = os.Remove(to) // it may be running
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func zip(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = z.Write(b)
	if err := errors.Join(err, z.Close()); err != nil {
		return err
	}
	return os.WriteFile(to, zipped.Bytes(), 0o644)
}
