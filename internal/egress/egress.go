// Package egress is how connections leave: whom names resolve to, which addresses may be dialled, from which source address, and
// through which proxy.
package egress
