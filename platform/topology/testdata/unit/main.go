// Command unit is what the tests of platform/topology run: it behaves as its arguments say.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	mode := "serve"
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	for _, pair := range os.Environ() {
		if strings.HasPrefix(pair, "CLEAVE_") || strings.HasPrefix(pair, "DATABASE_URL") {
			fmt.Println(pair)
		}
	}
	if mode == "fail" {
		fmt.Fprintln(os.Stderr, "unit: it cannot work")
		os.Exit(3)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {
		if os.Getenv("CLEAVE_END") != "" {
			time.AfterFunc(100*time.Millisecond, func() { stop <- syscall.SIGTERM }) // When the answer has arrived.
		}
	})
	go func() {
		if err := http.ListenAndServe(os.Getenv("CLEAVE_ADMIN_ADDR"), mux); err != nil {
			fmt.Fprintln(os.Stderr, "unit:", err)
			os.Exit(1)
		}
	}()
	fmt.Fprintln(os.Stderr, "unit: serves")
	<-stop
	fmt.Fprintln(os.Stderr, "unit: stopped")
	if os.Getenv("CLEAVE_STOP_BADLY") != "" {
		os.Exit(4)
	}
}
