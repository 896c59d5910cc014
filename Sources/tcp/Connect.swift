import ArgumentParser
import CLinux
import Glibc
import TCPEngine
import TCPRuntime
import TCPStack
import TCPWire

struct Connect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Connect to a server by our TCP, as nc does.",
        discussion: """
            Standard input goes to the peer, what the peer sends goes to standard output. At the end of the input our side \
            is closed and reading goes on; the command ends when both sides are closed.

              python3 -m http.server 8000 &
              printf 'GET / HTTP/1.0\\r\\n\\r\\n' | tcp connect --tun tcp0 --address 10.9.0.2/24 10.9.0.1 8000

            HOST must be reachable through the interface: the kernel's own address there (10.9.0.1 above), or any other if \
            the kernel forwards. With --tap it may be any on the Ethernet segment, or beyond its --gateway.
            """)

    @OptionGroup(title: "Interface") var link: LinkOptions

    @Argument(help: "The address or name to connect to.")
    var host: String
    @Argument(help: "The port to connect to: 1 to 65535.")
    var port: UInt16
    @Flag(
        help: """
            Fetch a cookie of the server's by a connection of its own, and send the beginning of the input with the SYN of the \
            next (RFC 7413).
            """)
    var fastOpen = false
    @Option(
        help: "The congestion control: cubic, newreno or bbr (docs/congestion.md).", transform: CongestionNames.control)
    var congestion: CongestionControl = .cubic
    @Flag(help: "Tell at the end, on standard error, what TCP learned of the path and did.")
    var verbose = false
    @Option(
        help: "Explicit Congestion Notification: off, on (RFC 3168) or accurate (RFC 9768).",
        transform: CongestionNames.mode)
    var ecn = ExplicitCongestion.off

    func validate() throws {
        guard port > 0 else { throw ValidationError("Port 0 cannot be connected to: use 1 to 65535.") }
    }

    func run() throws {
        try reportingFailure {
            signal(SIGPIPE, SIG_IGN)
            let signals = try SignalWatch([SIGINT, SIGTERM])
            let remote = Endpoint(try resolve(host, for: link), port)
            let loop = try EventLoop()
            let open = try link.open(on: loop)
            let host = open.host
            let status: CInt = try loop.run {
                try await withThrowingTaskGroup(of: CInt.self) { group in
                    group.addTask { 128 + (try await signals.next(on: loop)) }
                    group.addTask {
                        try await host.waitUntilEnded()
                        return 0
                    }
                    group.addTask {
                        try await exchange(on: host, with: remote)
                        return 0
                    }
                    let first = await group.nextResult()
                    await host.shutdown()
                    group.cancelAll()
                    if let failure = await host.failure { throw failure }
                    return try first?.get() ?? 0
                }
            }
            open.capture?.flush()
            if status != 0 { throw ExitCode(status) }
        }
    }

    /// Both directions, until both are closed.
    private func exchange(on host: Host, with remote: Endpoint) async throws {
        try await link.settle(host, for: remote.address)
        let input = Stream(STDIN_FILENO, .readable)
        var options = ConnectionOptions()
        options.fastOpen = fastOpen
        options.congestionControl = congestion
        options.explicitCongestionNotification = ecn
        let connection: TCPConnection
        do {
            var first: [UInt8] = []
            if fastOpen {
                await (try await host.connect(to: remote, options: options)).close()
                first = try await input.read(on: host.loop) ?? []
            }
            connection = try await host.connect(to: remote, options: options, sending: first)
        } catch let error as ConnectionError {
            throw CommandFailure("\(remote): \(error.explanation)")
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while let bytes = try await input.read(on: host.loop) { try await connection.write(bytes) }
                try await connection.closeWrite()
            }
            group.addTask {
                let sink = Stream(STDOUT_FILENO, .writable)
                while let bytes = try await connection.read(upTo: chunkSize) {
                    try await sink.write(bytes, on: host.loop)
                }
            }
            // A reset must end a wait for input, too.
            group.addTask { try await connection.waitUntilEnded() }
            try await group.waitForAll()
        }
        if verbose, let info = await connection.info { for line in info.lines { complain(line) } }
        await connection.close()
    }
}

/// The address of `name`, of a family that the stack has an address of.
private func resolve(_ name: String, for link: LinkOptions) throws -> IPAddress {
    let hasIPv4 = try link.links().contains { $0.stack.address.isIPv4 }
    let hasIPv6 = try link.usesIPv6()
    func isUsable(_ address: IPAddress) -> Bool { address.isIPv4 ? hasIPv4 : hasIPv6 }
    // RFC 4007 §11: an address of one link alone may name the link; there is only ours.
    let parts = name.split(separator: "%", maxSplits: 1)
    let isScoped = parts.count == 2 && parts[1] == link.tap ?? ""
    if let address = IPAddress(isScoped ? String(parts[0]) : name) {
        guard isUsable(address) else {
            throw CommandFailure("\(address) needs an address of its family on our side: give one more --address.")
        }
        return address
    }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(name, nil, &hints, &list)
    guard status == 0 else {
        throw CommandFailure(
            "'\(name)' has no address (\(String(cString: gai_strerror(status)))): check the name, or give an address.")
    }
    defer { freeaddrinfo(list) }
    var entry = list
    while let current = entry {
        if let address = address(of: current.pointee), isUsable(address) { return address }
        entry = current.pointee.ai_next
    }
    throw CommandFailure("'\(name)' has no address of a family that we have: give one more --address.")
}

private func address(of entry: addrinfo) -> IPAddress? {
    guard let raw = UnsafeRawPointer(entry.ai_addr) else { return nil }
    switch entry.ai_family {
    case AF_INET:
        return IPAddress(ipv4: UInt32(bigEndian: raw.load(fromByteOffset: 4, as: UInt32.self)))
    case AF_INET6:
        let high = UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        let low = UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        return IPAddress(high: high, low: low)
    default:
        return nil
    }
}
