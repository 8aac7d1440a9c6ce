// A Redis on one address until it is told to stop: what Argo CD keeps its cache in.
package main

import (
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: redis ADDRESS")
	}
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(os.Args[1]); err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	second := time.NewTicker(time.Second)
	for {
		select {
		case <-stop:
			return
		case <-second.C:
			server.FastForward(time.Second) // its clock stands still by itself, and no key would expire
		}
	}
}
