package main

import (
	"strings"
	"testing"
)

// settings are the flags, settings and files of the servers that Whence takes the place of, by the section of docs/migrate.md that
// must say what has become of them.
var settings = map[string][]string{
	"simple-whois": {"/opt/db", "1043", "iptables", "REDIRECT", "--limit 50/minute", "--limit-burst 200", "whois-info.log", "ec2-user", "chkconfig",
		"service simple-whois start"},
	"WHOIS servers on an MMDB": {"`database`", "--host", "--port", "--footer", "--log-level", "dbstatus", "ghcr.io/maxmouchet/mmdb-whois-server"},
	"domain_stats 1": {"`port`", "-ip", "--address", "-a", "--alexa", "--all", "-c", "--cache-time", "--garbage-cycle", "--preload", "--delay",
		"-d", "--disable-disk-preload", "domain_cache.dst", "update_diskcache.py", "-v", "-vv", "SOCKS", "domain_stats.service", "cmd=", "tgt="},
	"domain_stats 2": {"local_address", "local_port", "database_file", "memory_cache", "cached_max_items", "mode", "server_name", "server_port",
		"prohibited_tlds", "target_updates", "domain_stats_db_admin -u", "`-f`", "timezone_offset", "log_detail", "-y", "-c", "`-d`", "`-v`",
		"/showcache", "/stats", "b0"},
	"domain-stats 1.0.1": {"ip_address", "local_port", "workers", "threads_per_worker", "gunicorn_config.py", "mode", "rdap_error_ttl_days",
		"established_days_age", "enable_freq_scores", "freq_table", "freq_avg_alert", "freq_word_alert", "count_rdap_errors", "cache_browse_limit",
		"timezone_offset", "log_detail", "domain-stats-settings", "domain-stats-utils DIR -i FILE", "-nx", "-e FILE", "-d FILE", "`-f`", "`-v`",
		"top1m.import", "cache.db", "memocache", "/stats-reset", "/cache_browse", "/cache_get", "/depuny"},
	"freq_server": {"`port`", "-ip", "table", "-s", "-v", "/measure/", "/measure1/", "/measure2/", "/normal/", "weight"},
	"WHOIS-API": {"8048", "/WHOIS/<domain>", ":<server>", "domain_list", "/whois/<domain>", "/check", "support.json", "SOCKS5", "SOCKS4", "MySQL",
		"10,000", "`flag`", "server_dic.json", "effective_ApiNode.txt", "heartbeat", "SMTP", "running.log", "DEBUG"},
	"dot-proxy": {"proxy_port", "1.1.1.1", "853", "authorities", "5 s", "1024", "thread", "-p 53:53/udp", "exesse/dot-proxy", "quorum", "lame"},
}

// TestMigration holds docs/migrate.md to every setting, each in its section, and each section to a Caddyfile and an honest end.
func TestMigration(t *testing.T) {
	sections := make(map[string]string)
	for _, s := range strings.Split(readFile(t, "../../docs/migrate.md"), "\n## ")[1:] {
		title, text, _ := strings.Cut(s, "\n")
		sections[title] = text
	}
	for title, words := range settings {
		text, ok := sections[title]
		if !ok {
			t.Errorf("no section %q", title)
		}
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: nothing about %s", title, w)
			}
		}
		if !strings.Contains(strings.ToLower(text), "no counterpart") {
			t.Errorf("%s: nothing about what has no counterpart", title)
		}
	}
	if len(sections) != len(settings) {
		t.Errorf("%d sections, want %d", len(sections), len(settings))
	}
}
