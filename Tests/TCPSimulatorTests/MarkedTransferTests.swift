import TCPEngine
import TCPSimulator
import TCPStack
import TCPWire
import Testing

@Suite("A queue that marks, and ends that listen") struct MarkedTransferTests {
    #if DEBUG
        static let bytes = 4_000_000
    #else
        static let bytes = 32_000_000
    #endif

    static let entries = Grid.entries(.table).filter { $0.name == "marking" }.map {
        var entry = $0
        entry.cell.bytes = bytes
        return entry
    }

    /// Debug builds send an eighth, of which the first round trips are a larger part.
    @Test(
        "No packet is lost, the link is full, and the queue is half a bandwidth-delay product or less",
        arguments: entries.indices)
    func marking(index: Int) {
        let result = MarkedTransferTests.entries[index].run()
        let name = "\(result.entry.cell.congestion) \(result.entry.cell.explicitCongestion)"
        #expect(result.report.isIntact && result.report.outcome == .idle, "\(name)")
        #expect(result.report.lost == 0, "\(name)")
        #expect(result.report.marked > 0, "\(name)")
        let share = MarkedTransferTests.bytes < 32_000_000 ? 0.85 : 0.95
        #expect(result.goodput >= share * result.bound, "\(name): \(result.goodput) of \(result.bound)")
        #expect(
            result.meanQueue <= 0.5 * result.entry.cell.bandwidthDelayProduct,
            "\(name): \(result.meanQueue) of \(result.entry.cell.bandwidthDelayProduct)")
    }
}
