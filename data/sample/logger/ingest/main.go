// Command ingest listens for decoded levels on a loopback port and appends them to one file per day.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Counter counts what was stored and what was dropped, per hour of the day.
type Counter struct {
	Stored  [24]int
	Dropped [24]int
}

// Add counts one line at a moment.
func (c *Counter) Add(at time.Time, kept bool) {
	hour := at.UTC().Hour()
	if kept {
		c.Stored[hour]++
		return
	}
	c.Dropped[hour]++
}

// dayFile names the file of a day: levels never share a file across midnight UTC.
func dayFile(folder string, at time.Time) string {
	return filepath.Join(folder, at.UTC().Format("2006-01-02")+".log")
}

func appendLine(path, line string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer file.Close()
	_, err = fmt.Fprintln(file, line)
	return err
}

func main() {
	listen := flag.String("listen", "127.0.0.1:7008", "address")
	folder := flag.String("folder", "levels", "where day files go")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	counter := &Counter{}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Print(err)
			continue
		}
		scanner := bufio.NewScanner(connection)
		for scanner.Scan() {
			now := time.Now()
			err := appendLine(dayFile(*folder, now), scanner.Text())
			counter.Add(now, err == nil)
		}
		connection.Close()
	}
}
