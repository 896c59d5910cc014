internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

/// A client, a server, and the link between them.
final class Stage {
    static let port: UInt16 = 80

    let simulation: Simulation
    let client: SimulatedHost
    let server: SimulatedHost
    let link: Simulation.Link
    let ipv6: Bool

    init(
        _ options: SceneOptions, delay: Duration = .milliseconds(20), client: Configuration = Configuration(),
        server: Configuration = Configuration(), mtu: Int = 1500, rate: Double? = nil
    ) {
        ipv6 = options.ipv6
        simulation = Simulation(seed: options.seed, tracing: true)
        self.client = simulation.addHost(
            "client", addresses: [options.ipv6 ? "fd00::1/64" : "10.0.0.1/24"], configuration: client)
        self.server = simulation.addHost(
            "server", addresses: [options.ipv6 ? "fd00::2/64" : "10.0.0.2/24"], configuration: server)
        var configuration = LinkConfiguration(rate: rate, delay: delay)
        configuration.mtu = mtu
        link = simulation.addLink(self.client, self.server, configuration)
    }

    /// The server's endpoint.
    var service: Endpoint { server.endpoint(Stage.port, ipv6: ipv6) }

    /// The client's endpoint at a port.
    func clientEndpoint(_ port: UInt16) -> Endpoint { client.endpoint(port, ipv6: ipv6) }

    /// Listens; scenes use free ports, so that it cannot fail.
    @discardableResult
    func listen(
        on port: UInt16 = Stage.port, at host: SimulatedHost? = nil, backlog: Int = 128,
        _ program: @escaping (SimulatedConnection) -> any SimulatedApplication
    ) -> ListenerID {
        do {
            return try (host ?? server).listen(on: port, backlog: backlog, program)
        } catch { preconditionFailure("a scene's listener: \(error.explanation)") }
    }

    /// Connects; scenes have addresses and ports enough.
    @discardableResult
    func connect(
        _ program: any SimulatedApplication, to remote: Endpoint? = nil, from host: SimulatedHost? = nil,
        port: UInt16 = 40001
    ) -> SimulatedConnection {
        do {
            return try (host ?? client).connect(to: remote ?? service, port: port, program)
        } catch { preconditionFailure("a scene's connection: \(error.explanation)") }
    }

    /// Says nothing, and drops what it is told.
    static func silent(_ closing: StreamApplication.Closing = .whenAsked) -> StreamApplication {
        StreamApplication(closing: closing)
    }
}

/// The exchange that most scenes are about: the client sends some octets and closes, and the server answers the close.
final class Conversation {
    let stage: Stage
    let client: StreamApplication
    let server: StreamApplication

    private static let request = PayloadPattern(seed: 0x5EED_0001)
    private static let reply = PayloadPattern(seed: 0x5EED_0002)

    init(
        _ stage: Stage, sending: Int = 300, replying: Int = 0,
        clientCloses: Duration? = .milliseconds(200), serverCloses: StreamApplication.Closing,
        serverWrites: StreamApplication.Writing = .afterEndOfStream,
        clientWrites: StreamApplication.Writing = .afterOpening(.milliseconds(1)),
        clientClosing: StreamApplication.Closing = .whenAsked
    ) {
        self.stage = stage
        client = StreamApplication(
            sending: sending, pattern: Conversation.request, expecting: Conversation.reply, writing: clientWrites,
            closing: clientClosing)
        server = StreamApplication(
            sending: replying, pattern: Conversation.reply, expecting: Conversation.request, writing: serverWrites,
            closing: serverCloses)
        let program = server
        stage.listen { _ in program }
        stage.connect(client)
        if let clientCloses {
            let program = client
            stage.simulation.after(clientCloses) { program.close() }
        }
    }

    /// What came of it when the simulation has run.
    func outcome(_ checks: [SceneCheck]) -> SceneOutcome {
        SceneOutcome(
            parts: [ScenePart(stage.simulation.trace)], checks: checks, delivered: client.received + server.received,
            isIntact: client.isIntact && server.isIntact && server.received == client.written
                && client.received == server.written)
    }
}
