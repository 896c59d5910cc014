import TCPEngine
import TCPSimulator
import TCPStack
import TCPTrace
import TCPWire

/// Plays a scene.
func play(_ name: String, seed: UInt64 = 1, ipv6: Bool = false) -> SceneOutcome {
    guard let scene = Scene.named(name) else { preconditionFailure("there is no scene \(name)") }
    return scene.play(SceneOptions(seed: seed, ipv6: ipv6))
}

/// Two hosts and a link, for tests that are no scene.
final class Pair {
    let simulation: Simulation
    let client: SimulatedHost
    let server: SimulatedHost
    let link: Simulation.Link

    init(
        seed: UInt64 = 1, start: Instant = .zero, tracing: Bool = true, link: LinkConfiguration = LinkConfiguration(),
        configuration: Configuration = Configuration()
    ) {
        simulation = Simulation(seed: seed, start: start, tracing: tracing)
        client = simulation.addHost("client", addresses: ["10.0.0.1/24"], configuration: configuration)
        server = simulation.addHost("server", addresses: ["10.0.0.2/24"], configuration: configuration)
        self.link = simulation.addLink(client, server, link)
    }

    var trace: Trace { simulation.trace }

    @discardableResult
    func connect(
        _ sender: StreamApplication, _ receiver: StreamApplication, port: UInt16 = 40001
    ) throws -> SimulatedConnection {
        try server.listen(on: 80) { _ in receiver }
        return try client.connect(to: server.endpoint(80), port: port, sender)
    }
}

extension SimulatedHost {
    /// Whether the stack holds not one octet of a connection's, and no connection; TIME-WAIT apart.
    var isEmptyButForTimeWait: Bool {
        let memory = stack.memory
        return memory.connectionCount == 0 && memory.halfOpenCount == 0 && memory.buffers == 0 && memory.recovery == 0
    }
}

extension MemoryReport {
    /// Whether nothing of a connection is left; TIME-WAIT apart.
    var isEmptyButForTimeWait: Bool {
        connectionCount == 0 && halfOpenCount == 0 && buffers == 0 && recovery == 0
    }
}
