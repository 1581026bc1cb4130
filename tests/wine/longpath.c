/* Stands between the Windows program and Wine's kernel32, for the part of tests/wine/run about long
 * paths: Wine lets every path through, where Windows refuses one of more than 260 characters without
 * the prefix that lifts the limit; and it can't name an open file with a longer path.
 *
 * tests/wine/run writes which of the program's other calls go to kernel32 as before.
 */
#include <windows.h>
#include <winternl.h>

/* Windows' limit, and that of a new folder, in which a short name must fit. */
enum { LIMIT = 260, FOLDER_LIMIT = 248 };

static BOOL refused(const WCHAR *path, DWORD limit) {
    WCHAR none[1];
    if (!path || !wcsncmp(path, L"\\\\?\\", 4) || !wcsncmp(path, L"\\\\.\\", 4)) return FALSE;
    /* The length with the end that it needs. */
    if (GetFullPathNameW(path, 1, none, NULL) <= limit) return FALSE;
    SetLastError(ERROR_PATH_NOT_FOUND);
    return TRUE;
}

HANDLE WINAPI limited_CreateFileW(LPCWSTR path, DWORD access, DWORD share, LPSECURITY_ATTRIBUTES security,
                                  DWORD how, DWORD flags, HANDLE like) {
    if (refused(path, LIMIT)) return INVALID_HANDLE_VALUE;
    return CreateFileW(path, access, share, security, how, flags, like);
}

HANDLE WINAPI limited_FindFirstFileExW(LPCWSTR path, FINDEX_INFO_LEVELS level, LPVOID found, FINDEX_SEARCH_OPS kind,
                                       LPVOID filter, DWORD flags) {
    if (refused(path, LIMIT)) return INVALID_HANDLE_VALUE;
    return FindFirstFileExW(path, level, found, kind, filter, flags);
}

DWORD WINAPI limited_GetFileAttributesW(LPCWSTR path) {
    return refused(path, LIMIT) ? INVALID_FILE_ATTRIBUTES : GetFileAttributesW(path);
}

BOOL WINAPI limited_GetFileAttributesExW(LPCWSTR path, GET_FILEEX_INFO_LEVELS level, LPVOID found) {
    return !refused(path, LIMIT) && GetFileAttributesExW(path, level, found);
}

BOOL WINAPI limited_SetFileAttributesW(LPCWSTR path, DWORD attributes) {
    return !refused(path, LIMIT) && SetFileAttributesW(path, attributes);
}

BOOL WINAPI limited_DeleteFileW(LPCWSTR path) {
    return !refused(path, LIMIT) && DeleteFileW(path);
}

BOOL WINAPI limited_RemoveDirectoryW(LPCWSTR path) {
    return !refused(path, LIMIT) && RemoveDirectoryW(path);
}

BOOL WINAPI limited_CreateDirectoryW(LPCWSTR path, LPSECURITY_ATTRIBUTES security) {
    return !refused(path, FOLDER_LIMIT) && CreateDirectoryW(path, security);
}

BOOL WINAPI limited_MoveFileExW(LPCWSTR from, LPCWSTR to, DWORD flags) {
    return !refused(from, LIMIT) && !refused(to, LIMIT) && MoveFileExW(from, to, flags);
}

/* The prefix is no help for the folder of a new process. */
BOOL WINAPI limited_CreateProcessW(LPCWSTR program, LPWSTR line, LPSECURITY_ATTRIBUTES process,
                                   LPSECURITY_ATTRIBUTES thread, BOOL inherits, DWORD flags, LPVOID environment,
                                   LPCWSTR folder, LPSTARTUPINFOW start, LPPROCESS_INFORMATION made) {
    if (folder && wcslen(folder) + 2 > LIMIT) {
        SetLastError(ERROR_DIRECTORY);
        return FALSE;
    }
    return CreateProcessW(program, line, process, thread, inherits, flags, environment, folder, start, made);
}

/* Wine's own has room for about 260 characters. */
DWORD WINAPI limited_GetFinalPathNameByHandleW(HANDLE file, LPWSTR path, DWORD room, DWORD flags) {
    static const WCHAR device[] = L"\\??\\";
    char buffer[1 << 16];
    UNICODE_STRING *name = (UNICODE_STRING *)buffer;
    ULONG used;
    /* 1: ObjectNameInformation */
    if (flags || NtQueryObject(file, (OBJECT_INFORMATION_CLASS)1, buffer, sizeof buffer, &used) ||
        name->Length < sizeof device || wcsncmp(name->Buffer, device, 4)) {
        return GetFinalPathNameByHandleW(file, path, room, flags);
    }
    DWORD length = name->Length / sizeof(WCHAR);
    if (room <= length) return length + 1;
    memcpy(path, name->Buffer, name->Length);
    path[1] = L'\\';
    path[length] = 0;
    return length;
}
