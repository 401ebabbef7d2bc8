//go:build !linux

package main

import "log"

func main() { log.Fatal("this benchmark measures with /proc: it runs on Linux") }
