//go:build !linux

package main

import "log"

func main() { log.Fatal("this benchmark reads /proc: it runs on Linux") }
