import CLinux
import Glibc
import Synchronization
import TCPRuntime
import TCPTrace
import TCPWire

/// A capture file that grows as packets pass.
final class CaptureFile: Sendable {
    private struct State {
        var pending: [UInt8] = []
        var lastFlush: Int64 = 0
        var hasFailed = false
    }

    private let path: String
    private let file: CInt
    private let writer: PcapWriter
    private let state = Mutex(State())

    init(path: String, linkType: PcapWriter.LinkType) throws {
        self.path = path
        writer = PcapWriter(linkType: linkType)
        file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            throw CommandFailure(
                "Cannot write \(path) (\(errorText(errno))): name a file in a directory that you may write.")
        }
        state.withLock { writer.appendHeader(to: &$0.pending) }
        flush()
    }

    deinit {
        flush()
        close(file)
    }

    func append(_ packet: RawSpan) {
        let now = MonotonicClock.wallNanoseconds()
        let isDue = state.withLock { state in
            writer.append(packet, atNanoseconds: now, to: &state.pending)
            guard state.pending.count > 256 << 10 || now - state.lastFlush > 200_000_000 else { return false }
            state.lastFlush = now
            return true
        }
        if isDue { flush() }
    }

    /// Writes what is kept back. A full disk ends the capture, not the service.
    func flush() {
        state.withLock { state in
            var offset = 0
            while offset < state.pending.count, !state.hasFailed {
                let count = state.pending.withUnsafeBytes { write(file, $0.baseAddress! + offset, $0.count - offset) }
                if count > 0 {
                    offset += count
                } else if count < 0, errno != EINTR {
                    state.hasFailed = true
                    complain("The capture in \(path) stops here (\(errorText(errno))).")
                }
            }
            state.pending.removeAll(keepingCapacity: true)
        }
    }
}

/// One line a packet on standard error.
final class TraceLine: Sendable {
    private let start = MonotonicClock.now()
    private let linkLayer: LinkLayer

    init(_ linkLayer: LinkLayer) { self.linkLayer = linkLayer }

    func print(_ packet: RawSpan, _ direction: PacketDirection) {
        let microseconds = (MonotonicClock.now() - start).nanoseconds / 1000
        let fraction = String(microseconds % 1_000_000)
        let padding = String(repeating: "0", count: 6 - fraction.utf8.count)
        let arrow = direction == .received ? "in " : "out"
        let line = PacketLine.describe(packet, linkLayer)
        complain("\(microseconds / 1_000_000).\(padding)\(fraction) \(arrow) \(line)")
    }
}
