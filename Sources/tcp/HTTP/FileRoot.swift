import CLinux
import Glibc
import TCPRuntime

/// The directory that is served. Paths are walked one component at a time from its descriptor, and neither `..` nor a
/// symbolic link is followed: no request reaches what lies outside.
final class FileRoot: Sendable {
    private let descriptor: CInt

    init(path: String) throws {
        descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandFailure("Cannot serve '\(path)' (\(errorText(errno))): name a directory that you may read.")
        }
    }

    deinit { close(descriptor) }

    /// What a path leads to.
    enum Entry {
        case file(OpenFile)
        case directory(CInt)
        case nothing
        case forbidden
    }

    /// Opens what `components` lead to. The caller owns a directory's descriptor.
    func open(_ components: [String]) -> Entry {
        var current = dup(descriptor)
        guard current >= 0 else { return .forbidden }
        for component in components {
            let next = openat(current, component, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
            let number = errno
            close(current)
            guard next >= 0 else {
                return number == EACCES || number == ELOOP || number == EPERM ? .forbidden : .nothing
            }
            current = next
        }
        var status = stat()
        guard fstat(current, &status) == 0 else {
            close(current)
            return .nothing
        }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return .directory(current)
        case S_IFREG: return .file(OpenFile(current, size: Int(status.st_size), modified: status.st_mtim.tv_sec))
        default:
            close(current)
            return .forbidden
        }
    }

    /// The components of a request's target, percent-decoded; `nil` when it cannot name a file.
    static func components(of target: String) -> [String]? {
        var path = Substring(target)
        // The absolute form names the host first (RFC 9112 §3.2.2).
        if path.lowercased().hasPrefix("http://") {
            path = path.dropFirst(7).drop { $0 != "/" && $0 != "?" }
            if !path.hasPrefix("/") { path = "/" + path }
        }
        guard path.hasPrefix("/") else { return nil }
        let end = path.firstIndex { $0 == "?" || $0 == "#" } ?? path.endIndex
        guard let decoded = percentDecoded(path[path.startIndex..<end]) else { return nil }
        var components: [String] = []
        for part in decoded.split(separator: UInt8(ascii: "/")) {
            guard !part.contains(0) else { return nil }
            let component = String(decoding: part, as: UTF8.self)
            if component == "." { continue }
            guard component != ".." else { return nil }
            components.append(component)
        }
        return components
    }

    private static func percentDecoded(_ text: Substring) -> [UInt8]? {
        var result: [UInt8] = []
        var octets = text.utf8.makeIterator()
        while let octet = octets.next() {
            guard octet == UInt8(ascii: "%") else {
                result.append(octet)
                continue
            }
            guard let high = octets.next().flatMap(hexadecimal), let low = octets.next().flatMap(hexadecimal) else {
                return nil
            }
            result.append(high << 4 | low)
        }
        return result
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// A regular file that is open for reading.
final class OpenFile: Sendable {
    private let descriptor: CInt
    /// Octets when it was opened.
    let size: Int
    /// Seconds since 1970.
    let modified: Int

    init(_ descriptor: CInt, size: Int, modified: Int) {
        self.descriptor = descriptor
        self.size = size
        self.modified = modified
    }

    deinit { close(descriptor) }

    /// Up to `limit` octets from `offset` on; empty at the end of the file, `nil` on an error of the disk.
    func read(at offset: Int, limit: Int) -> [UInt8]? {
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, initialized in
            repeat { count = pread(descriptor, buffer.baseAddress!, limit, offset) } while count < 0 && errno == EINTR
            initialized = max(0, count)
        }
        return count < 0 ? nil : bytes
    }
}
