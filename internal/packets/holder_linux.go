package packets

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/whence-project/whence/internal/sockets"
)

// holder finds the process that has the address or its port on every address, from /proc: which socket, then whose file
// descriptor. It is empty where there is none or we may not look.
func holder(address netip.AddrPort) string {
	inodes := make(map[string]bool)
	for _, table := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		inTheWay(table, address, inodes)
	}
	return sockets.Owner(inodes)
}

// inTheWay adds the sockets of a /proc/net/udp table that address cannot be bound beside, in the form that /proc/<pid>/fd links to.
func inTheWay(table string, address netip.AddrPort, inodes map[string]bool) {
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	host, port := tableForm(address.Addr()), fmt.Sprintf("%04X", address.Port())
	for lines := bufio.NewScanner(f); lines.Scan(); {
		cols := strings.Fields(lines.Text())
		const local, inode = 1, 9
		if len(cols) <= inode {
			continue
		}
		h, p, _ := strings.Cut(cols[local], ":")
		if p == port && (h == host || address.Addr().IsUnspecified() || strings.Trim(h, "0") == "") {
			inodes["socket:["+cols[inode]+"]"] = true
		}
	}
}

// tableForm is a as the tables have it: words of 32 bits, each in the byte order of the machine.
func tableForm(a netip.Addr) string {
	var form strings.Builder
	for b := a.AsSlice(); len(b) > 0; b = b[4:] {
		fmt.Fprintf(&form, "%08X", binary.NativeEndian.Uint32(b))
	}
	return form.String()
}
