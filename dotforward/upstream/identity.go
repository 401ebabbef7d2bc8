package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// encryption is the configuration of TLS for an application protocol (ALPN). Name is set if there is one to verify.
func (o *Options) encryption(protocol string) (*tls.Config, error) {
	pins, err := parsePins(o.Pins)
	if err != nil {
		return nil, err
	}
	_, addrErr := netip.ParseAddr(o.Host)
	if o.Name == "" && (len(pins) == 0 || addrErr != nil) {
		o.Name = o.Host
	}
	config := &tls.Config{
		ServerName: strings.TrimSuffix(o.Name, "."), RootCAs: o.Roots, MinVersion: tls.VersionTLS12, NextProtos: []string{protocol},
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
		// Small first records are for pages that render early; a query is whole or nothing.
		DynamicRecordSizingDisabled: true,
	}
	if named := o.Name != ""; len(pins) > 0 {
		config.VerifyConnection = func(state tls.ConnectionState) error { return checkPins(pins, named, state) }
		config.InsecureSkipVerify = !named // the pin alone is what the server is known by
	}
	return config, nil
}

func parsePins(pins []string) ([][sha256.Size]byte, error) {
	var parsed [][sha256.Size]byte
	for _, pin := range pins {
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(pin, "sha256/"))
		if err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("pin %q is not a SHA-256 digest in base64", pin)
		}
		parsed = append(parsed, [sha256.Size]byte(b))
	}
	return parsed, nil
}

// checkPins reports an error unless a pin fits. In a chain that was not verified only the first certificate is one that the
// peer has proved to have the key of; the others anyone may send.
func checkPins(pins [][sha256.Size]byte, verified bool, state tls.ConnectionState) error {
	fits := func(cert *x509.Certificate) bool {
		return slices.Contains(pins, sha256.Sum256(cert.RawSubjectPublicKeyInfo))
	}
	if verified {
		for _, chain := range state.VerifiedChains {
			if slices.ContainsFunc(chain, fits) {
				return nil
			}
		}
	} else if len(state.PeerCertificates) > 0 && fits(state.PeerCertificates[0]) {
		return nil
	}
	return errors.New("tls: no key of the server is one that is pinned")
}
