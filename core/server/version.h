/* version.h -- the version of the server, as hello, status and --version tell it. */
#ifndef CORE_SERVER_VERSION_H
#define CORE_SERVER_VERSION_H

#define TIDELOCK_VERSION "0.1.0"

#endif
