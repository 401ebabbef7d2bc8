module github.com/whence-project/whence/bench/whoisparse/peers/likexian

go 1.26

require github.com/likexian/whois-parser v1.24.21

require (
	github.com/likexian/gokit v0.25.16 // indirect
	golang.org/x/net v0.48.0 // indirect
	golang.org/x/text v0.32.0 // indirect
)
