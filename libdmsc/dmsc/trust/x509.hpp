// Owning handles for the OpenSSL objects of this room. Not for use outside it.
#pragma once
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "dmsc/core/bytes.hpp"

namespace dmsc::trust::x509 {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
inline void free_names(GENERAL_NAMES* names) { GENERAL_NAMES_free(names); }

using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<free_names>>;

// Null if `der` is not exactly one certificate.
X509Ptr decode(ByteView der);

}  // namespace dmsc::trust::x509
