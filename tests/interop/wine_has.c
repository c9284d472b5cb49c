/* Prints which of Windows' functions work here, a word a line. The tests find the gaps
 * of a Wine by trying its functions, not by its version. */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <iphlpapi.h>
#include <icmpapi.h>
#include <windns.h>
#include <stdio.h>

#ifndef UDP_SEND_MSG_SIZE
#define UDP_SEND_MSG_SIZE 2
#endif

/* Loaded by name: this program starts even if a function is missing. */
static void *function(const char *library, const char *name) {
    HMODULE module = LoadLibraryA(library);
    return module ? (void *)GetProcAddress(module, name) : NULL;
}

typedef HANDLE(WINAPI *create_file)(void); typedef DWORD(WINAPI *forward_table)(ADDRESS_FAMILY, void
**); typedef DWORD(WINAPI *best_route)(void *, NET_IFINDEX, void *, const SOCKADDR_INET *, ULONG,
void *, SOCKADDR_INET *); typedef DWORD(WINAPI *notify)(ADDRESS_FAMILY, void *, void *, BOOLEAN,
HANDLE *);

static volatile LONG notified;

static void WINAPI on_change(void *context, void *row, int kind) {
    (void)context, (void)row, (void)kind;
    InterlockedIncrement(&notified);
}

/* Whether a call that finds an idle connection reset reports it as a reset. */
static BOOL shows_idle_resets(void) {
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0), near_end = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    int length = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 1)) return FALSE;
    getsockname(listener, (void *)&at, &length);
    if (connect(near_end, (void *)&at, sizeof at)) return FALSE;
    SOCKET far_end = accept(listener, NULL, NULL);
    u_long on = 1;
    ioctlsocket(near_end, FIONBIO, &on);
    struct linger at_once = {1, 0};
    setsockopt(far_end, SOL_SOCKET, SO_LINGER, (char *)&at_once, sizeof at_once);
    closesocket(far_end);
    WSAPOLLFD poll = {.fd = near_end, .events = POLLRDNORM};
    WSAPoll(&poll, 1, 2000);
    char byte;
    return recv(near_end, &byte, 1, 0) == SOCKET_ERROR && WSAGetLastError() == WSAECONNRESET;
}

/* Whether a non-blocking send of more than fits is accepted whole, as in Windows, and not in part.
Wine 10
 * does that, and sometimes loses bytes of such a send (docs/wine.md). */
static BOOL takes_sends_whole(void) {
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0), near_end = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    int length = sizeof at;
    static char bytes[1 << 20];
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 1)) return FALSE;
    getsockname(listener, (void *)&at, &length);
    if (connect(near_end, (void *)&at, sizeof at)) return FALSE;
    u_long on = 1;
    ioctlsocket(near_end, FIONBIO, &on);
    /* Its far end reads nothing, so one of these sends is the first that does not fit. */
    for (int i = 0; i < 64; i++) {
        int taken = send(near_end, bytes, sizeof bytes, 0);
        if (taken != sizeof bytes) return taken == SOCKET_ERROR;
    }
    return FALSE;
}

/* Whether a list of records that came as UTF-8 can be returned as UTF-16, the last step of
DnsQuery_W. */
typedef void *(WINAPI *copy_records)(void *, int, int);

static BOOL copies_records(void) {
    copy_records copy = (copy_records)function("dnsapi.dll", "DnsRecordSetCopyEx");
    static char name[] = "a.test";
    DNS_RECORDA record = {.pName = name, .wType = DNS_TYPE_A, .wDataLength = 4};
    record.Flags.S.CharSet = DnsCharSetUtf8;
    return copy && copy(&record, DnsCharSetUtf8, DnsCharSetUnicode);
}

int main(void) {
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    if (shows_idle_resets()) puts("idle-resets");
    if (takes_sends_whole()) puts("whole-sends");
    if (copies_records()) puts("record-copies");
    create_file icmp6 = (create_file)function("iphlpapi.dll", "Icmp6CreateFile");
    HANDLE echo = icmp6 ? icmp6() : INVALID_HANDLE_VALUE;
    if (echo != INVALID_HANDLE_VALUE) puts("ping6");
    if (socket(AF_UNIX, SOCK_STREAM, 0) != INVALID_SOCKET) puts("af-unix");
    SOCKET udp = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    DWORD size = 1200;
    if (setsockopt(udp, IPPROTO_UDP, UDP_SEND_MSG_SIZE, (char *)&size, sizeof size) == 0) puts("udp-segmentation");
    forward_table table = (forward_table)function("iphlpapi.dll", "GetIpForwardTable2");
    ULONG *rows = NULL;
    if (table && table(AF_INET6, (void **)&rows) == 0 && *rows > 0) puts("routes6");
    best_route best = (best_route)function("iphlpapi.dll", "GetBestRoute2");
    SOCKADDR_INET to = {.Ipv4 = {.sin_family = AF_INET}}, from;
    to.Ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char route[512];
    if (best && best(NULL, 0, NULL, &to, 0, route, &from) == 0) puts("best-route");
    /* Windows calls back at once for the first notification. */
    notify interfaces = (notify)function("iphlpapi.dll", "NotifyIpInterfaceChange");
    HANDLE handle = NULL;
    if (interfaces && interfaces(AF_UNSPEC, (void *)on_change, NULL, TRUE, &handle) == 0) {
        for (int wait = 0; wait < 20 && !notified; wait++) Sleep(50);
        if (notified) puts("notifications");
    }
    const char *exports[][3] = {
        {"dnsapi.dll", "DnsQueryRaw", "dns-query-raw"},
        {"iphlpapi.dll", "GetIpInterfaceEntry", "interface-entry"},
        {"iphlpapi.dll", "NotifyNetworkConnectivityHintChange", "connectivity-hint"},
        {"winhttp.dll", "WinHttpGetProxySettingsEx", "proxy-settings-ex"},
        {"bcryptprimitives.dll", "ProcessPrng", "process-prng"},
    };
    for (size_t i = 0; i < sizeof exports / sizeof *exports; i++)
        if (function(exports[i][0], exports[i][1])) puts(exports[i][2]);
    fflush(stdout);
    return 0;
}
