// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Command distribution2 serves the registry of distribution 2.8, which is what the
// image registry:2 runs, with the configuration file in its argument. It is the
// released code below distribution's own command: that command also needs a module
// that module proxies do not serve (rsc.io/letsencrypt).
package main

import (
	"errors"
	"log"
	"net/http"
	"os"

	"github.com/docker/distribution/configuration"
	dcontext "github.com/docker/distribution/context"
	"github.com/docker/distribution/registry/handlers"
	_ "github.com/docker/distribution/registry/storage/driver/inmemory"
	"github.com/sirupsen/logrus"
)

func main() {
	if err := serve(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func serve(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: distribution2 CONFIGURATION")
	}
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	config, err := configuration.Parse(file)
	if err != nil {
		return err
	}
	level, err := logrus.ParseLevel(string(config.Log.Level))
	if err != nil {
		return err
	}
	logrus.SetLevel(level)
	return http.ListenAndServe(config.HTTP.Addr, handlers.NewApp(dcontext.Background(), config))
}
