// Command throwaway-key prints a fresh private key that opens nothing: by default a service-account
// key in Google's JSON format, as `gcloud iam service-accounts keys create` writes it, or with --pem
// only the key, as kube-apiserver takes it to sign service-account tokens.
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"net/url"
	"os"
)

// serviceAccountKey has the fields of a key file in the order in which Google writes them.
type serviceAccountKey struct {
	Type                    string `json:"type"`
	ProjectID               string `json:"project_id"`
	PrivateKeyID            string `json:"private_key_id"`
	PrivateKey              string `json:"private_key"`
	ClientEmail             string `json:"client_email"`
	ClientID                string `json:"client_id"`
	AuthURI                 string `json:"auth_uri"`
	TokenURI                string `json:"token_uri"`
	AuthProviderX509CertURL string `json:"auth_provider_x509_cert_url"`
	ClientX509CertURL       string `json:"client_x509_cert_url"`
	UniverseDomain          string `json:"universe_domain"`
}

func main() {
	onlyPEM := flag.Bool("pem", false, "print the private key alone, in PEM")
	project := flag.String("project", "darwin", "the key's project_id")
	email := flag.String("email", "", "the key's client_email (default puller@PROJECT.iam.gserviceaccount.com)")
	id := flag.String("id", "", "the key's private_key_id (default random)")
	flag.Parse()

	if err := run(*onlyPEM, *project, *email, *id); err != nil {
		fmt.Fprintln(os.Stderr, "throwaway-key:", err)
		os.Exit(1)
	}
}

func run(onlyPEM bool, project, email, id string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	if onlyPEM {
		_, err = os.Stdout.Write(private)
		return err
	}

	if email == "" {
		email = "puller@" + project + ".iam.gserviceaccount.com"
	}
	if id == "" {
		bytes := make([]byte, 20)
		rand.Read(bytes) // never fails
		id = hex.EncodeToString(bytes)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(serviceAccountKey{
		Type:                    "service_account",
		ProjectID:               project,
		PrivateKeyID:            id,
		PrivateKey:              string(private),
		ClientEmail:             email,
		ClientID:                "100000000000000000001",
		AuthURI:                 "https://accounts.google.com/o/oauth2/auth",
		TokenURI:                "https://oauth2.googleapis.com/token",
		AuthProviderX509CertURL: "https://www.googleapis.com/oauth2/v1/certs",
		ClientX509CertURL:       "https://www.googleapis.com/robot/v1/metadata/x509/" + url.QueryEscape(email),
		UniverseDomain:          "googleapis.com",
	})
}
