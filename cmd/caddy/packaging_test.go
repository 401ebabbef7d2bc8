package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/whence-project/whence/internal/testenv"
)

const packaging = "../../packaging/"

func readFile(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPackagedCaddyfile starts what a package and an image bring, with the environment of each.
func TestPackagedCaddyfile(t *testing.T) {
	config := readFile(t, packaging+"Caddyfile")
	t.Run("package", func(t *testing.T) {
		s := newServer(t)
		s.mustRun("fmt", "--diff", abs(t, packaging+"Caddyfile"))
		s.mustRun("validate", "--adapter", "caddyfile", "--config", abs(t, packaging+"Caddyfile"))
		s.start(s.below(strings.NewReplacer("127.0.0.1:43", "127.0.0.1:0", "http://:8000", "http://:0").Replace(config)))
		s.checkPackaged(ask(t, s.whois(0), linkLocal), s.site(0))
	})
	t.Run("image", func(t *testing.T) {
		s := newServer(t)
		s.env = imageEnv(t)
		for _, open := range []string{"WHENCE_WHOIS=:43", "WHENCE_HTTP=:"} {
			if !slices.Contains(s.env, open) {
				t.Errorf("the image's environment %q has no %s", s.env, open)
			}
		}
		s.env = append(s.env, "WHENCE_WHOIS=127.0.0.1:0", "WHENCE_HTTP=127.0.0.1", "WHENCE_ADMIN=unix/"+s.path("admin.sock"),
			"HOME="+s.dir, "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
		s.start(s.below(strings.Replace(config, "http://:8000", "http://:0", 1)))
		s.checkPackaged(ask(t, s.whois(0), linkLocal), s.site(0))
		s.checkHealthcheck()
	})
}

// checkHealthcheck runs what the image has Docker run, while the server is well and once it is gone.
func (s *server) checkHealthcheck() {
	s.t.Helper()
	text := strings.ReplaceAll(readFile(s.t, packaging+"Dockerfile"), "\\\n", " ")
	const address = "127.0.0.1:2019"
	found := regexp.MustCompile(`(?m)^HEALTHCHECK .* CMD (\[.*\])$`).FindStringSubmatch(text)
	if found == nil || !slices.Contains(imageEnv(s.t), "WHENCE_ADMIN="+address) {
		s.t.Fatal("no health check, or the admin endpoint is elsewhere")
	}
	var command []string
	if err := json.Unmarshal([]byte(found[1]), &command); err != nil {
		s.t.Fatal(err)
	}
	for i := range command {
		command[i] = strings.ReplaceAll(command[i], address, "unix/"+s.path("admin.sock"))
	}
	s.mustRun(command[1:]...)
	s.kill()
	if out, err := s.command(command[1:]...).CombinedOutput(); err == nil {
		s.t.Errorf("a server that is gone is healthy: %s", out)
	}
}

// below puts the folders of a packaged configuration below the server's.
func (s *server) below(config string) string {
	return strings.NewReplacer("/var/lib/whence", s.dir, "/etc/whence", s.dir, "unix//run/whence/admin.sock", "unix/"+s.path("admin.sock")).Replace(config)
}

func (s *server) checkPackaged(answer, site string) {
	s.t.Helper()
	wantLinkLocal(s.t, "the WHOIS server", answer)
	if got := mustFetch(s.t, httpAt(site), "/v1/lookup/"+linkLocal); !strings.Contains(got, `"network":"169.254.0.0/16"`) {
		s.t.Errorf("the HTTP API answered %s", got)
	}
	s.mustRun("reload", "--address", "unix/"+s.path("admin.sock"), "--config", "Caddyfile", "--adapter", "caddyfile", "--force")
}

// imageEnv is the environment that the Dockerfile sets.
func imageEnv(t *testing.T) (env []string) {
	t.Helper()
	text := strings.ReplaceAll(readFile(t, packaging+"Dockerfile"), "\\\n", " ")
	for _, line := range regexp.MustCompile(`(?m)^ENV (.*)$`).FindAllStringSubmatch(text, -1) {
		env = append(env, strings.Fields(line[1])...)
	}
	return env
}

// TestDockerfile holds what the Dockerfile names against the repository; an image takes a Docker engine to build.
func TestDockerfile(t *testing.T) {
	text := readFile(t, packaging+"Dockerfile")
	stages := 0
	for _, line := range regexp.MustCompile(`(?m)^(\w+) (.*)$`).FindAllStringSubmatch(text, -1) {
		args := strings.Fields(line[2])
		switch line[1] {
		case "FROM":
			stages++
		case "COPY":
			if strings.HasPrefix(args[0], "--from=") {
				continue
			}
			for _, from := range args[:len(args)-1] {
				if _, err := os.Stat("../../" + from); err != nil {
					t.Errorf("%s: %v", line[0], err)
				}
			}
		}
	}
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readFile(t, "../../go.mod"))[1]
	for _, want := range []string{"golang:" + goVersion + "-", "USER 65532:65532", "EXPOSE 43/tcp 53/tcp 53/udp 8000/tcp", "./cmd/caddy\n",
		`CMD ["run", "--config", "/etc/whence/Caddyfile", "--adapter", "caddyfile"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if stages != 2 {
		t.Errorf("%d stages, want one that builds and one that runs", stages)
	}
}

// TestUnits has systemd read the units, and say how much a service of theirs could do to the machine.
func TestUnits(t *testing.T) {
	analyze := testenv.Program(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	var units []string
	for _, name := range []string{"whence.service", "whence.socket"} {
		unit := strings.ReplaceAll(readFile(t, packaging+"systemd/"+name), "/usr/lib/whence/caddy", binary)
		units = append(units, filepath.Join(dir, name))
		if err := os.WriteFile(units[len(units)-1], []byte(unit), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	const most = 20 // tenths of systemd's scale from 0 to 10, where it calls up to 2 safe
	out, err := exec.Command(analyze, "security", "--offline=yes", fmt.Sprintf("--threshold=%d", most), "--no-pager", units[0]).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// TestManual holds every command of `caddy whence` to a page of use: what it does, its flags, examples.
func TestManual(t *testing.T) {
	s := newServer(t)
	s.mustRun("manpage", "--directory", s.dir)
	pages, err := filepath.Glob(s.path("caddy-whence*.8"))
	if err != nil || len(pages) < 3 {
		t.Fatalf("pages %q, %v", pages, err)
	}
	section := regexp.MustCompile(`(?m)^\.SH (.*)$`)
	for _, page := range pages {
		text, has := readFile(t, page), make(map[string]string)
		at := section.FindAllStringSubmatchIndex(text, -1)
		for i, m := range at {
			end := len(text)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			has[text[m[2]:m[3]]] = strings.TrimSpace(text[m[1]:end])
		}
		name := filepath.Base(page)
		_, short, _ := strings.Cut(has["NAME"], " - ")
		if d := has["DESCRIPTION"]; len(d) < 100 || strings.TrimSpace(short) == d {
			t.Errorf("%s: a command needs a long description, not %q", name, d)
		}
		if !strings.Contains(has["EXAMPLE"], "caddy whence ") {
			t.Errorf("%s: no example", name)
		}
		if undescribed := regexp.MustCompile(`(?m)^\\fB-.*\n\t*\s*$`).FindString(text); undescribed != "" {
			t.Errorf("%s: a flag without a description: %q", name, undescribed)
		}
	}
}

// TestCompletion asks the binary what bash's completion asks it.
func TestCompletion(t *testing.T) {
	s := newServer(t)
	for _, tt := range []struct {
		typed []string
		want  string
	}{
		{[]string{"whence", ""}, "import\t"},
		{[]string{"whence", "import", "--form", ""}, "feed\n"},
		{[]string{"whence", "import", "--k"}, "--keep-new\t"},
	} {
		cmd := s.command(append([]string{"__complete"}, tt.typed...)...)
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("caddy %q completes to %q (%v), want %q among it", tt.typed, out, err, tt.want)
		}
	}
	bash := testenv.Program(t, "bash", "bash")
	check := exec.Command(bash, "-n")
	check.Stdin = strings.NewReader(s.mustRun("completion", "bash"))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("bash reads the completion script: %v\n%s", err, out)
	}
}
