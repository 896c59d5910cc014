import ArgumentParser
import CLinux
import Glibc
import TCPEngine
import TCPRuntime
import TCPStack
import TCPWire

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve HTTP and small services on our TCP, for the kernel's programs to talk to.",
        discussion: """
            Our stack lives behind a TUN interface. --address is ours; the kernel gets an address of its own at the other \
            end, by --peer or else the next host address of the prefix. Programs on this machine then reach us through it:

              tcp serve --tun tcp0 --address 10.9.0.2/24 --http .
              curl http://10.9.0.2/

            With --tap instead, our stack is a station of an Ethernet segment, with a MAC address of its own: it answers \
            ARP and neighbor discovery, sees that its addresses are nobody else's before it uses them, and with \
            --autoconfigure takes IPv6 addresses from the segment's routers. In a bridge it is a host of that network:

              ip tuntap add mode tap name tcp0 && ip link set tcp0 up master br0
              tcp serve --tap tcp0 --address 192.0.2.10/24 --gateway 192.0.2.1 --http .

            An interface that does not exist is made, configured, and removed in the end: this needs root or \
            CAP_NET_ADMIN. One that exists ('ip tuntap add mode tun name tcp0 user NAME') is used as it is: give it \
            its addresses and bring it up yourself. Ctrl-C ends everything; SIGUSR1 prints every connection and what \
            the stack holds.
            """)

    @OptionGroup(title: "Interface") var link: LinkOptions

    @Option(help: ArgumentHelp("Serve the files of this directory by HTTP on port 80.", valueName: "directory"))
    var http: String?
    @Option(help: "Send back what comes (RFC 862) on this port, by TCP and by UDP.")
    var echo: UInt16?
    @Option(help: "Throw away what comes (RFC 863) on this port, by TCP and by UDP.")
    var discard: UInt16?
    @Option(help: "Send characters without end (RFC 864) on this port.")
    var chargen: UInt16?
    @Flag(
        help: """
            Give clients Fast Open cookies, and take what comes with a SYN that has one before the handshake is over (RFC 7413). \
            It may come twice.
            """)
    var fastOpen = false
    @Option(
        help: "The congestion control: cubic, newreno or bbr (docs/congestion.md).", transform: CongestionNames.control)
    var congestion: CongestionControl = .cubic
    @Option(
        help: "Explicit Congestion Notification: off, on (RFC 3168) or accurate (RFC 9768).",
        transform: CongestionNames.mode)
    var ecn = ExplicitCongestion.off
    @Flag(help: "Print one JSON object a line on standard output: 'serving', 'address', 'request', 'status', 'end'.")
    var json = false

    func validate() throws {
        let ports = [http == nil ? nil : 80, echo, discard, chargen].compactMap { $0 }
        guard !ports.isEmpty else {
            throw ValidationError(
                "There is nothing to serve: give --http DIRECTORY, --echo, --discard or --chargen PORT.")
        }
        guard !ports.contains(0) else { throw ValidationError("Port 0 cannot be served: use 1 to 65535.") }
        guard Set(ports).count == ports.count else {
            throw ValidationError("Two services share a port: give each its own (HTTP has 80).")
        }
    }

    func run() throws {
        try reportingFailure {
            let services = try makeServices()
            signal(SIGPIPE, SIG_IGN)
            let signals = try SignalWatch([SIGINT, SIGTERM, SIGUSR1])
            let loop = try EventLoop()
            let open = try link.open(on: loop)
            let host = open.host
            let announcement = ServeAnnouncement(
                device: open.device, links: try link.links(), wantsOffload: link.offload == .on, services: services,
                printsJSON: json)
            try loop.run {
                // Every port is open before anything is said.
                var listeners: [(any Service, TCPListener)] = []
                for service in services {
                    var options = service.options
                    options.fastOpen = fastOpen
                    options.congestionControl = congestion
                    options.explicitCongestionNotification = ecn
                    listeners.append((service, try await host.listen(on: service.port, options: options)))
                }
                var sockets: [(DatagramService, UDPSocket)] = []
                for service in datagramServices { sockets.append((service, try await host.openUDP(on: service.port))) }
                try await serve(listeners, sockets, on: host, announcement, until: signals)
                await farewell(host)
            }
            open.capture?.flush()
        }
    }

    private func makeServices() throws -> [any Service] {
        var services: [any Service] = []
        if let http {
            let printsJSON = json
            services.append(
                HTTPServer(root: try FileRoot(path: http)) { request in
                    if printsJSON { output(request.json) }
                })
        }
        if let echo { services.append(Echo(port: echo)) }
        if let discard { services.append(Discard(port: discard)) }
        if let chargen { services.append(CharacterGenerator(port: chargen)) }
        return services
    }

    /// What RFC 862 and RFC 863 say of UDP; characters without end (RFC 864) would be sent to whoever is named as a source.
    private var datagramServices: [DatagramService] {
        [
            echo.map { DatagramService(port: $0, sendsBack: true) },
            discard.map { DatagramService(port: $0, sendsBack: false) },
        ]
        .compactMap(\.self)
    }

    /// Serves until a signal comes or the interface is lost.
    private func serve(
        _ listeners: [(any Service, TCPListener)], _ sockets: [(DatagramService, UDPSocket)], on host: Host,
        _ announcement: ServeAnnouncement, until signals: SignalWatch
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while try await signals.next(on: host.loop) == SIGUSR1 { await report(host) }
            }
            group.addTask { try await host.waitUntilEnded() }
            group.addTask { try await announce(announcement, host) }
            for (service, listener) in listeners { group.addTask { try await service.run(listener) } }
            for (service, socket) in sockets { group.addTask { try await service.run(socket) } }
            let first = await group.nextResult()
            await host.shutdown()
            group.cancelAll()
            if let failure = await host.failure { throw failure }
            if case .failure(let error) = first { throw error }
            // The others end because their host has ended.
            while await group.nextResult() != nil {}
        }
    }

    /// Says where we are to be found as soon as that is known, and what changes, until the host has ended.
    private func announce(_ announcement: ServeAnnouncement, _ host: Host) async throws {
        var addresses = try await link.settle(host)
        announcement.begin(addresses)
        Footprint.dropStartupCode()
        while await host.isRunning {
            let now = try await host.linkAddresses(after: addresses)
            announcement.tell(now, after: addresses)
            addresses = now
        }
    }

    /// What SIGUSR1 asks for.
    private func report(_ host: Host) async {
        let flows = await host.allFlows()
        let memory = await host.memory
        let neighbors = await host.neighbors
        if json {
            let list = flows.map {
                "{\"local\":\(tcp.json($0.local.description)),\"remote\":\(tcp.json($0.remote.description)),"
                    + "\"state\":\(tcp.json($0.state.name))}"
            }
            let around = neighbors.map { neighbor in
                let mac = neighbor.hardware.map { ",\"mac\":\(tcp.json($0.description))" } ?? ""
                return "{\"address\":\(tcp.json(neighbor.address.description))\(mac),"
                    + "\"state\":\(tcp.json("\(neighbor.state)"))}"
            }
            output(
                "{\"event\":\"status\",\"connections\":[\(list.joined(separator: ","))],\"memory\":\(memory.total),"
                    + "\"buffers\":\(memory.buffers),\"neighbors\":[\(around.joined(separator: ","))]}")
        }
        complain(
            "\(flows.count) connections; the stack holds \(memory.total) bytes, \(memory.buffers) of them in buffers")
        for flow in flows { complain("  \(flow.local) <- \(flow.remote) \(flow.state)") }
        for neighbor in neighbors {
            let place = neighbor.hardware.map { "is at \($0)" } ?? "is asked for"
            complain("  neighbor \(neighbor.address) \(place), \(neighbor.state)")
        }
    }

    private func farewell(_ host: Host) async {
        let counters = await host.counters
        if json {
            output(
                "{\"event\":\"end\",\"segmentsReceived\":\(counters.segmentsReceived),\"segmentsSent\":\(counters.segmentsSent),"
                    + "\"segmentsRetransmitted\":\(counters.segmentsRetransmitted)}")
        }
        complain(
            "Ended: \(counters.segmentsReceived) segments received, \(counters.segmentsSent) sent, "
                + "\(counters.segmentsRetransmitted) of them again.")
    }
}

extension Service {
    /// Connections of a peer that has vanished end by keep-alive.
    var options: ConnectionOptions {
        var options = ConnectionOptions()
        options.keepAliveIdle = .seconds(120)
        options.keepAliveInterval = .seconds(15)
        options.keepAliveProbes = 4
        return options
    }
}
