// Command build makes a Caddy binary from xcaddy.json, the build manifest at the root of the repository:
//
//	go -C tools run ./build            # writes ./caddy at the root
//	go -C tools run ./build -o /tmp/c  # writes /tmp/c
//	go -C tools run ./build -with caddymodule/caddylayer4
//
// The last adds a module of this repository that is not part of the plugin: the handler of caddy-l4.
//
// It works from a checkout: the plugin is replaced by the folder that the manifest names.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// manifest is xcaddy.json.
type manifest struct {
	Caddy   string // version of Caddy
	XCaddy  string // version of xcaddy; tools/go.mod has it
	Plugins []plugin
}

type plugin struct {
	Module  string // module path
	Version string // any version: it is replaced
	Replace string // folder with its source, from the root
}

func main() {
	out := flag.String("o", "", "the binary to write (default: caddy at the root of the repository)")
	with := flag.String("with", "", "folder, from the root, of one more module to link: caddymodule/caddylayer4")
	flag.Parse()
	if err := build(*out, *with); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func build(out, with string) error {
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(root, "xcaddy.json"))
	if err != nil {
		return fmt.Errorf("%w; run it as go -C tools run ./build", err)
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("xcaddy.json: %w", err)
	}
	if out == "" {
		out = filepath.Join(root, "caddy")
	}
	if with != "" {
		m.Plugins = append(m.Plugins, plugin{m.Plugins[0].Module + "/" + filepath.ToSlash(filepath.Clean(with)), "v0.0.0", with})
	}
	args := []string{"tool", "xcaddy", "build", m.Caddy, "--output", out}
	for _, p := range m.Plugins {
		// With a version and a replacement, no registry has to list the module's versions.
		args = append(args, "--with", fmt.Sprintf("%s@%s=%s", p.Module, p.Version, filepath.Join(root, p.Replace)))
	}
	cmd := exec.Command("go", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
