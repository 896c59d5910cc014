import CLinux
import Glibc
import TCPRuntime

/// Standard input or output, used without blocking the loop.
///
/// The descriptor is shared with the shell and others, so it is not switched to non-blocking; pipes and terminals are opened
/// once more for ourselves, sockets are asked not to wait call by call. Regular files are always ready.
final class Stream: Sendable {
    private let descriptor: CInt
    private let isOurs: Bool
    private let isSocket: Bool
    /// A pipe or terminal that is not ours alone: it is asked only when it is ready, and for little.
    private let isDelicate: Bool
    private let interest: DescriptorInterest

    init(_ descriptor: CInt, _ interest: DescriptorInterest) {
        self.interest = interest
        var status = stat()
        let kind = fstat(descriptor, &status) == 0 ? status.st_mode & S_IFMT : 0
        isSocket = kind == S_IFSOCK
        let mode = interest == .readable ? O_RDONLY : O_WRONLY
        let reopened =
            kind == S_IFIFO || kind == S_IFCHR
            ? open("/proc/self/fd/\(descriptor)", mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1
        isOurs = reopened >= 0
        isDelicate = !isOurs && (kind == S_IFIFO || kind == S_IFCHR)
        self.descriptor = isOurs ? reopened : descriptor
    }

    deinit { if isOurs { close(descriptor) } }

    /// What is there, waiting for it; `nil` at the end.
    func read(on loop: EventLoop) async throws -> [UInt8]? {
        if isDelicate { try await loop.wait(for: interest, at: descriptor) }
        while true {
            let (bytes, count, number) = readNow()
            if count > 0 { return bytes }
            if count == 0 { return nil }
            switch number {
            case EAGAIN: try await loop.wait(for: interest, at: descriptor)
            case EINTR: continue
            default: throw CommandFailure("Cannot read the standard input (\(errorText(number))).")
            }
        }
    }

    private func readNow() -> ([UInt8], Int, Int32) {
        var count = 0
        var number: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: chunkSize) { buffer, initialized in
            count =
                isSocket
                ? recv(descriptor, buffer.baseAddress!, buffer.count, linux_MSG_DONTWAIT)
                : Glibc.read(descriptor, buffer.baseAddress!, buffer.count)
            number = errno
            initialized = max(0, count)
        }
        return (bytes, count, number)
    }

    /// Writes all of `bytes`, waiting for room.
    func write(_ bytes: [UInt8], on loop: EventLoop) async throws {
        var offset = 0
        while offset < bytes.count {
            if isDelicate { try await loop.wait(for: interest, at: descriptor) }
            // A pipe that is ready takes PIPE_BUF octets without waiting.
            let limit = min(isDelicate ? 4096 : .max, bytes.count - offset)
            let count = bytes.withUnsafeBytes { raw in
                isSocket
                    ? send(descriptor, raw.baseAddress! + offset, limit, linux_MSG_DONTWAIT | linux_MSG_NOSIGNAL)
                    : Glibc.write(descriptor, raw.baseAddress! + offset, limit)
            }
            if count > 0 {
                offset += count
                continue
            }
            switch count < 0 ? errno : EAGAIN {
            case EAGAIN: try await loop.wait(for: interest, at: descriptor)
            case EINTR: continue
            case let number: throw CommandFailure("Cannot write the standard output (\(errorText(number))).")
            }
        }
    }
}
