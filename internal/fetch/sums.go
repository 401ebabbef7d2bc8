package fetch

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path"
	"strings"
)

// maxSums is how many bytes a file of checksums may have.
const maxSums = 1 << 20

var errNoSum = errors.New("no SHA-256 in the file of checksums")

// ParseSum is the SHA-256, in lower case hexadecimal, that a file of checksums has for the file of that name. The forms are those of
// sha256sum ("hex  name"), of BSD's sha256 ("SHA256 (name) = hex"), a sum alone, and JSON with "sha256" in it or in its "checksums".
// Where there is one sum, the name does not matter: servers call what they send what they like.
func ParseSum(text []byte, name string) (string, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if bytes.HasPrefix(text, []byte("{")) {
		return jsonSum(text)
	}
	byName := make(map[string]string)
	var sums []string
	for line := range strings.Lines(string(text)) {
		sum, of := sumLine(strings.TrimSpace(line))
		if sum != "" {
			sums = append(sums, sum)
			byName[path.Base(of)] = sum
		}
	}
	switch {
	case len(sums) == 0:
		return "", errNoSum
	case byName[name] != "":
		return byName[name], nil
	case len(sums) > 1:
		return "", errors.New("the file of checksums has several, and none for this file")
	}
	return sums[0], nil
}

// sumLine is the sum in a line and the name beside it; no sum where the line is something else.
func sumLine(line string) (sum, name string) {
	if rest, ok := strings.CutPrefix(line, "SHA256 ("); ok {
		if name, sum, ok = strings.Cut(rest, ") = "); ok && IsSum(sum) {
			return strings.ToLower(sum), name
		}
		return "", ""
	}
	sum, name, _ = strings.Cut(line, " ")
	if !IsSum(sum) {
		return "", ""
	}
	return strings.ToLower(sum), strings.TrimPrefix(strings.TrimSpace(name), "*")
}

func jsonSum(text []byte) (string, error) {
	type sums struct {
		SHA256 string `json:"sha256"`
	}
	var file struct {
		sums
		Checksums sums `json:"checksums"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return "", errNoSum
	}
	for _, sum := range []string{file.SHA256, file.Checksums.SHA256} {
		if IsSum(sum) {
			return strings.ToLower(sum), nil
		}
	}
	return "", errNoSum
}

// IsSum reports whether s is a SHA-256 in hexadecimal.
func IsSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}

// Sum downloads a file of checksums and is [ParseSum] of it.
func (c *Client) Sum(ctx context.Context, r Request, name string) (string, error) {
	r.Limit = maxSums
	var text bytes.Buffer
	if _, err := c.Get(ctx, r, &text); err != nil {
		return "", err
	}
	return ParseSum(text.Bytes(), name)
}
