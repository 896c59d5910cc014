import CLinux
import Glibc
import TCPRuntime
import TCPSimulator
import TCPWire

/// The kernel's end of an exchange: blocking programs.
enum WireKernel {
    /// Seconds that one call may wait.
    static let patience = 30

    /// Opens the connections, asks, and reads what is answered.
    static func open(_ exchange: WireExchange, to address: String) throws -> WireOutcome {
        var outcome = WireOutcome()
        for _ in 0..<exchange.count {
            let file = try KernelPeer.makeSocket()
            defer { close(file) }
            limitWaits(file)
            outcome.started.append(MonotonicClock.now())
            guard KernelPeer.connect(file, to: address, WireExchange.port) else {
                throw BenchmarkFailure("the kernel cannot connect over the wire: \(errorText(errno))")
            }
            outcome.opened.append(MonotonicClock.now())
            try send(file, exchange.request, WireExchange.requestPattern)
            shutdown(file, Int32(SHUT_WR))
            try receive(file, exchange.reply, WireExchange.replyPattern, &outcome)
            try receiveEnd(file)
        }
        return outcome
    }

    /// Takes the connections, reads what is asked, and answers.
    static func answer(_ exchange: WireExchange, _ listener: CInt) throws -> WireOutcome {
        var outcome = WireOutcome()
        limitWaits(listener)
        for _ in 0..<exchange.count {
            let file = accept(listener, nil, nil)
            guard file >= 0 else {
                throw BenchmarkFailure("no connection came to the kernel over the wire: \(errorText(errno))")
            }
            defer { close(file) }
            KernelPeer.setNoDelay(file)
            limitWaits(file)
            guard KernelPeer.usesCubic(file) else { throw BenchmarkFailure("the kernel does not use CUBIC") }
            try receive(file, exchange.request, WireExchange.requestPattern, &outcome)
            try send(file, exchange.reply, WireExchange.replyPattern)
            shutdown(file, Int32(SHUT_WR))
            try receiveEnd(file)
        }
        return outcome
    }

    private static func limitWaits(_ file: CInt) {
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(file, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    private static func send(_ file: CInt, _ count: Int, _ pattern: PayloadPattern) throws {
        try withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 64) { buffer in
            var sent = 0
            while sent < count {
                let size = min(buffer.count, count - sent)
                var span = MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: buffer[..<size]))
                pattern.fill(&span, from: sent)
                var part = 0
                while part < size {
                    // The end follows: with it or with more, not alone.
                    let flags = linux_MSG_NOSIGNAL | linux_MSG_MORE
                    let taken = Glibc.send(file, buffer.baseAddress! + part, size - part, flags)
                    guard taken > 0 else {
                        throw BenchmarkFailure("the kernel cannot send over the wire: \(errorText(errno))")
                    }
                    part += taken
                }
                sent += size
            }
        }
    }

    private static func receive(
        _ file: CInt, _ count: Int, _ pattern: PayloadPattern, _ outcome: inout WireOutcome
    ) throws {
        guard count > 0 else { return }
        try withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 64) { buffer in
            var received = 0
            while received < count {
                let part = recv(file, buffer.baseAddress!, min(buffer.count, count - received), 0)
                guard part > 0 else {
                    let why = part == 0 ? "the end came early" : errorText(errno)
                    throw BenchmarkFailure("after \(received) of \(count) octets over the wire: \(why)")
                }
                let span = RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: buffer[..<part]))
                guard pattern.matches(span, from: received) else {
                    throw BenchmarkFailure("wrong octets came to the kernel after \(received)")
                }
                received += part
            }
        }
        outcome.octets += count
        outcome.completed.append(MonotonicClock.now())
    }

    private static func receiveEnd(_ file: CInt) throws {
        var octet: UInt8 = 0
        switch recv(file, &octet, 1, 0) {
        case 0: return
        case 1: throw BenchmarkFailure("more octets came to the kernel than were sent")
        default: throw BenchmarkFailure("the kernel's peer did not close: \(errorText(errno))")
        }
    }
}
