/* base/soap_inside.h -- inside base/ only: what the files of soap share. */
#ifndef CORDON_BASE_SOAP_INSIDE_H
#define CORDON_BASE_SOAP_INSIDE_H

#include "base/cleanup.h"
#include "base/soap.h"

/* From an s:Fault. Copies what it keeps. */
void soap_fault_read(const struct xml_node *fault, struct soap_fault *f);
/* The text without the blanks around it. False: too long. */
bool soap_take(char *buf, size_t size, const char *s);
/* text_shown, cut to `size` between two characters. */
void soap_shown(char *buf, size_t size, const char *s);
/* The value of a parameter of a media type (RFC 9110 5.6.6), "" where there is none. */
void soap_parameter(const char *type, const char *name, char *buf, size_t size);

#endif
