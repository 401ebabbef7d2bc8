package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/internal/registryfarm"
	"github.com/whence-project/whence/internal/testenv"
)

// The documents are exercised: what stands in a block of the language "caddyfile" must validate, and each command after "$ " in
// a block of the language "console" must print what stands below it. There, a line "…" stands for any lines, and … in a line
// for anything in it. Commands ask a server on the example Caddyfile, with lite-composite.mmdb in its folder data, or one that the
// block names; caddy is the binary under test.

// block is a fenced block of a document.
type block struct {
	file string
	line int
	lang string
	text string
}

func documents(t *testing.T) (blocks []block) {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	for _, file := range append(files, "../../README.md", "../../CONTRIBUTING.md") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var open *block
		for i, line := range strings.Split(string(b), "\n") {
			fence, isFence := strings.CutPrefix(line, "```")
			switch {
			case isFence && open == nil:
				open = &block{file: filepath.Base(file), line: i + 1, lang: fence}
			case isFence:
				blocks = append(blocks, *open)
				open = nil
			case open != nil:
				open.text += line + "\n"
			}
		}
		if open != nil {
			t.Errorf("%s:%d: a block that does not end", open.file, open.line)
		}
	}
	return blocks
}

func (b block) name() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

// TestDocumentedCaddyfiles validates every Caddyfile in the documents. One that does not begin with { or a site is a part of the
// global options, and one that begins with a source is a part of a chain.
func TestDocumentedCaddyfiles(t *testing.T) {
	n := 0
	for _, b := range documents(t) {
		if b.lang != "caddyfile" {
			continue
		}
		n++
		t.Run(b.name(), func(t *testing.T) {
			config := b.text
			switch word := strings.Fields(config)[0]; {
			case caddySource(word):
				config = "{\n\tenrich {\n" + config + "\t}\n}\n"
			case word != "{" && !strings.HasPrefix(word, ":") && !strings.Contains(word, "."):
				config = "{\n" + config + "}\n"
			}
			s := newServer(t)
			s.newIdentity("admins")
			s.write("Caddyfile", strings.ReplaceAll(config, "/var/log/", s.dir+"/")) // Caddy opens logs to validate them
			out, err := s.command("validate", "--config", "Caddyfile", "--adapter", "caddyfile").CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	if n < 5 {
		t.Errorf("only %d Caddyfiles in the documents", n)
	}
}

func caddySource(word string) bool {
	_, err := caddy.GetModule("enrich.sources." + word)
	return err == nil
}

// documentServers are the servers that commands are asked of, by the word after "console".
func documentServers(t *testing.T) map[string]*server {
	db, err := filepath.Abs(testenv.Path(t, "mmdb", "lite-composite.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	farm := registryfarm.New(t, registryfarm.Options{Registries: []registryfarm.Registry{
		{Name: "generic", Suffixes: []string{"com", "net", "org", "edu"}, RDAP: true},
	}})
	servers := make(map[string]*server)
	for name, config := range map[string]string{
		"":       example(t),
		"mmdb":   liteConfig(db, ""),
		"dns":    example(t),
		"footer": liteConfig(db, "\t\tfooter \"% IP address data powered by IPinfo, https://ipinfo.io\""),
	} {
		s := newServer(t)
		s.registries = farm.BootstrapURL()
		if name == "dns" {
			_, address, ca := newDoT(t, s, "dot.test")
			config = strings.Replace(config, "forward {$WHENCE_DOT:tls://1.1.1.1} {$WHENCE_DOT_NAME:cloudflare-dns.com}",
				"forward tls://"+address+" dot.test {\n\t\t\ttrusted_ca "+ca+"\n\t\t}", 1)
		}
		s.copyFile(db, "data/lite.mmdb")
		s.write("records/AS64500", "as-name: EXAMPLE-AS\ncontact: noc@example.org\n")
		s.write("addresses.txt", "1.1.1.1\n2001:4860:4860::8888\n")
		s.start(config)
		if strings.Contains(config, "registration") {
			s.log.wait(t, 1, `"file":"object-tags.json"`)
		}
		servers[name] = s
	}
	return servers
}

// TestDocumentedCommands runs every command in the documents and holds its output against what they show.
func TestDocumentedCommands(t *testing.T) {
	testenv.Program(t, "whois", "whois")
	testenv.Program(t, "nc", "netcat-openbsd")
	testenv.Program(t, "curl", "curl")
	testenv.Program(t, "kdig", "knot-dnsutils")
	servers := documentServers(t)
	n := 0
	for _, b := range documents(t) {
		kind, name, _ := strings.Cut(b.lang, " ")
		if kind != "console" || name == "tour" { // TestTour types that
			continue
		}
		for _, c := range commands(b.text) {
			n++
			t.Run(b.name(), func(t *testing.T) { servers[name].runDocumented(t, c) })
		}
	}
	if n < 8 {
		t.Errorf("only %d commands in the documents", n)
	}
}

func (s *server) runDocumented(t *testing.T, c documented) {
	if complaint := s.tryDocumented(c); complaint != "" {
		t.Error(complaint)
	}
}

// tryDocumented runs a command and returns what is wrong with its output, empty if nothing is.
func (s *server) tryDocumented(c documented) string {
	_, port, err := net.SplitHostPort(s.whois(0))
	if err != nil {
		return err.Error()
	}
	command := strings.ReplaceAll(c.command, "1043", port)
	if strings.Contains(command, "1053") {
		_, dns, _ := net.SplitHostPort(s.dns("udp"))
		command = strings.ReplaceAll(command, "1053", dns)
	}
	socket := "site.sock"
	if strings.Contains(command, "localhost:2019") { // Caddy's admin API
		socket = "admin.sock"
	}
	command = strings.ReplaceAll(command, "curl ", "curl -sS --unix-socket "+s.path(socket)+" ")
	cmd := exec.Command("bash", "-o", "pipefail", "-c", command)
	cmd.Dir, cmd.Env = s.dir, s.whenceCommand().Env
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH")) // caddy is the one under test
	out, err := cmd.CombinedOutput()
	got := strings.ReplaceAll(strings.ReplaceAll(string(out), "\r\n", "\n"), port, "1043")
	if err != nil || !regexp.MustCompile(pattern(c.output)).MatchString("\n"+strings.TrimSpace(got)) {
		return fmt.Sprintf("$ %s\n(%v) got:\n%s\nwant:\n%s", command, err, got, c.output)
	}
	return ""
}

type documented struct{ command, output string }

func commands(text string) (cs []documented) {
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			cs = append(cs, documented{command: strings.TrimSpace(command)})
		} else if len(cs) > 0 {
			cs[len(cs)-1].output += line
		}
	}
	return cs
}

// pattern is the regular expression of an expected output, with a line end before it.
func pattern(output string) string {
	quoted := "\n" + regexp.QuoteMeta(strings.TrimSpace(output))
	quoted = strings.ReplaceAll(quoted, "\n…", `(?s:\n.*)?`)
	quoted = strings.ReplaceAll(quoted, "…", ".*")
	return `^` + quoted + `$`
}
