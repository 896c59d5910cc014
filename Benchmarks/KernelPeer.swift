import CLinux
import Glibc
import TCPRuntime
import TCPWire

/// The kernel's TCP as a peer: the same blocking program whether its other end is the kernel or us.
enum KernelPeer {
    /// Ports of the services, the kernel's and ours.
    static let sink: UInt16 = 9
    static let source: UInt16 = 19
    static let echo: UInt16 = 7

    /// TCP_CONGESTION.
    private static let congestionOption: CInt = 13

    /// A socket that uses CUBIC.
    static func makeSocket() throws -> CInt {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard file >= 0 else { throw BenchmarkFailure("no socket") }
        // The default may be another, and two kernels compared must use one. What a listener uses its connections do. A
        // namespace's default may not be any but what the machine's administrator allows to all.
        let name = Array("cubic".utf8)
        guard setsockopt(file, Int32(IPPROTO_TCP), congestionOption, name, socklen_t(name.count)) == 0 else {
            close(file)
            throw BenchmarkFailure("the kernel has no CUBIC to be compared with: \(errorText(errno))")
        }
        var one: CInt = 1
        setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        return file
    }

    /// Whether the socket's congestion control is the one compared with.
    static func usesCubic(_ file: CInt) -> Bool {
        var name = [UInt8](repeating: 0, count: 16)
        var length = socklen_t(name.count)
        return getsockopt(file, Int32(IPPROTO_TCP), congestionOption, &name, &length) == 0
            && name.prefix { $0 != 0 }.elementsEqual("cubic".utf8)
    }

    private static func address(_ text: String, _ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, text, &address.sin_addr)
        return address
    }

    static func setNoDelay(_ file: CInt) {
        var one: CInt = 1
        setsockopt(file, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    }

    /// Connects a socket, and says whether it could.
    static func connect(_ file: CInt, to text: String, _ port: UInt16) -> Bool {
        var address = address(text, port)
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(file, $0, 16) }
        }
        if status == 0 { setNoDelay(file) }
        return status == 0
    }

    /// Connects; tries again while nothing listens yet.
    static func connect(to text: String, _ port: UInt16) throws -> CInt {
        for _ in 0..<200 {
            let file = try makeSocket()
            if connect(file, to: text, port) { return file }
            close(file)
            usleep(10_000)
        }
        throw BenchmarkFailure("cannot connect to \(text):\(port)")
    }

    /// A socket that listens.
    static func listen(on port: UInt16) throws -> CInt {
        let listener = try makeSocket()
        var address = address("0.0.0.0", port)
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, 16) }
        }
        guard status == 0, Glibc.listen(listener, 512) == 0 else {
            close(listener)
            throw BenchmarkFailure("cannot listen on \(port)")
        }
        return listener
    }

    /// Serves connections one after the other, `count` of them.
    static func serve(_ port: UInt16, count: Int, _ body: (CInt) -> Void) throws {
        let listener = try listen(on: port)
        defer { close(listener) }
        for _ in 0..<count {
            let file = accept(listener, nil, nil)
            guard file >= 0 else { throw BenchmarkFailure("accept failed") }
            setNoDelay(file)
            body(file)
            close(file)
        }
    }

    /// Reads to the end.
    static func drain(_ file: CInt) {
        withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 64) { buffer in
            while recv(file, buffer.baseAddress!, buffer.count, 0) > 0 {}
        }
    }

    /// Writes until the peer has enough.
    static func pour(_ file: CInt) {
        withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 64) { buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0x55)
            while send(file, buffer.baseAddress!, buffer.count, linux_MSG_NOSIGNAL) > 0 {}
        }
    }

    /// Sends back what comes.
    static func reflect(_ file: CInt) {
        withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 64) { buffer in
            while true {
                let count = recv(file, buffer.baseAddress!, buffer.count, 0)
                guard count > 0, send(file, buffer.baseAddress!, count, linux_MSG_NOSIGNAL) == count else { return }
            }
        }
    }

    /// Sends for that long, until the peer has read all of it. Bits per second.
    static func sendFor(_ seconds: Double, to address: String) throws -> Double {
        let file = try connect(to: address, sink)
        defer { close(file) }
        let start = MonotonicClock.now()
        let end = start.advanced(byNanoseconds: Int64(seconds * 1e9))
        var total = 0
        try withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 64) { buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0x55)
            while MonotonicClock.now() < end {
                let count = send(file, buffer.baseAddress!, buffer.count, linux_MSG_NOSIGNAL)
                guard count > 0 else { throw BenchmarkFailure("send failed: \(errorText(errno))") }
                total += count
            }
        }
        shutdown(file, Int32(SHUT_WR))
        drain(file)
        return Double(total) * 8e9 / Double((MonotonicClock.now() - start).nanoseconds)
    }

    /// Receives for that long. Bits per second.
    static func receiveFor(_ seconds: Double, from address: String) throws -> Double {
        let file = try connect(to: address, source)
        defer { close(file) }
        let start = MonotonicClock.now()
        let end = start.advanced(byNanoseconds: Int64(seconds * 1e9))
        var total = 0
        try withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 64) { buffer in
            while MonotonicClock.now() < end {
                let count = recv(file, buffer.baseAddress!, buffer.count, 0)
                guard count > 0 else { throw BenchmarkFailure("recv failed: \(errorText(errno))") }
                total += count
            }
        }
        return Double(total) * 8e9 / Double((MonotonicClock.now() - start).nanoseconds)
    }

    /// Sends `size` octets and waits for as many, `count` times over. The times in nanoseconds, sorted.
    static func exchange(_ count: Int, size: Int, with address: String) throws -> [Int64] {
        let file = try connect(to: address, echo)
        defer { close(file) }
        var times: [Int64] = []
        times.reserveCapacity(count)
        try withUnsafeTemporaryAllocation(byteCount: size, alignment: 64) { buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0x55)
            for _ in 0..<count {
                let start = MonotonicClock.now()
                guard send(file, buffer.baseAddress!, size, linux_MSG_NOSIGNAL) == size else {
                    throw BenchmarkFailure("send failed: \(errorText(errno))")
                }
                var received = 0
                while received < size {
                    let part = recv(file, buffer.baseAddress!, size, 0)
                    guard part > 0 else { throw BenchmarkFailure("recv failed: \(errorText(errno))") }
                    received += part
                }
                times.append((MonotonicClock.now() - start).nanoseconds)
            }
        }
        return times.sorted()
    }

    /// Opens and closes connections one after the other. Connections per second.
    static func openAndClose(_ count: Int, to address: String) throws -> Double {
        let start = MonotonicClock.now()
        for _ in 0..<count {
            let file = try connect(to: address, sink)
            shutdown(file, Int32(SHUT_WR))
            drain(file)
            close(file)
        }
        return Double(count) * 1e9 / Double((MonotonicClock.now() - start).nanoseconds)
    }
}
