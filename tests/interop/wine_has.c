/* Prints which of Windows' functions work here, a word a line. For the tests: what a Wine lacks is found by
 * trying it, not by its version. */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <iphlpapi.h>
#include <icmpapi.h>
#include <stdio.h>

#ifndef UDP_SEND_MSG_SIZE
#define UDP_SEND_MSG_SIZE 2
#endif

/* Loaded by name: where a function is missing this program starts all the same. */
static void *function(const char *library, const char *name) {
    HMODULE module = LoadLibraryA(library);
    return module ? (void *)GetProcAddress(module, name) : NULL;
}

typedef HANDLE(WINAPI *create_file)(void);
typedef DWORD(WINAPI *forward_table)(ADDRESS_FAMILY, void **);
typedef DWORD(WINAPI *best_route)(void *, NET_IFINDEX, void *, const SOCKADDR_INET *, ULONG, void *, SOCKADDR_INET *);
typedef DWORD(WINAPI *notify)(ADDRESS_FAMILY, void *, void *, BOOLEAN, HANDLE *);

static volatile LONG notified;

static void WINAPI on_change(void *context, void *row, int kind) {
    (void)context, (void)row, (void)kind;
    InterlockedIncrement(&notified);
}

int main(void) {
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
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
    /* Windows calls back at once where it is asked for the first notification. */
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
