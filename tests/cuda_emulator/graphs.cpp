// Graphs: work that is recorded by nodes or by the capture of a stream, made executable, and launched as one. What is executable is a
// copy; setting a node's parameters in it counts for launches that come after. Nodes run in any order that their dependencies allow,
// by CUEMU_SEED. Graphs that allocate are not emulated.

struct Graph;
struct GraphNode {
  enum Kind { KERNEL, CHILD, OTHER } kind;
  std::vector<size_t> after;
  std::shared_ptr<Launch> launch;
  std::shared_ptr<const Graph> child;
  Work work;
};
struct Graph {
  std::vector<std::shared_ptr<GraphNode>> nodes;
};
struct GraphExec {
  // The nodes it was made of, which are its handles, and what is run for them.
  std::vector<std::shared_ptr<GraphNode>> origins;
  Graph graph;
};
struct Capture {
  Graph graph;
  int mode;
  std::thread::id thread;
  bool valid = true;
};
static std::vector<std::weak_ptr<Capture>> captures;

void record(Capture& capture, Work work) {
  std::vector<std::shared_ptr<GraphNode>>& nodes = capture.graph.nodes;
  std::vector<size_t> after;
  if (!nodes.empty()) after.push_back(nodes.size() - 1);
  nodes.push_back(std::make_shared<GraphNode>(GraphNode{GraphNode::OTHER, after, nullptr, nullptr, std::move(work)}));
}
int captureForbids(Stream* stream) {
  if (stream != nullptr) {
    if (stream->capture == nullptr) return OK;
    stream->capture->valid = false;
    return CAPTURE_UNSUPPORTED;
  }
  // A global capture stands in the way of all threads, a thread's in the way of its own, a relaxed one in nobody's.
  std::lock_guard<std::mutex> lock(globalMutex);
  int status = OK;
  for (const std::weak_ptr<Capture>& weak : captures) {
    const std::shared_ptr<Capture> capture = weak.lock();
    if (capture == nullptr || capture->mode == 2 || (capture->mode == 1 && capture->thread != std::this_thread::get_id())) continue;
    capture->valid = false;
    status = CAPTURE_UNSUPPORTED;
  }
  return status;
}

API int cuStreamBeginCapture_v2(void* handle, int mode) {
  CALL("cuStreamBeginCapture_v2"); CONTEXT;
  Stream* stream = streamOf(handle);
  if (stream == nullptr) return INVALID_HANDLE;
  if (mode < 0 || mode > 2) return INVALID_VALUE;
  if (stream->capture != nullptr) return ILLEGAL_STATE;
  stream->capture = std::make_shared<Capture>();
  stream->capture->mode = mode;
  stream->capture->thread = std::this_thread::get_id();
  std::lock_guard<std::mutex> lock(globalMutex);
  for (size_t i = captures.size(); i-- > 0;) if (captures[i].expired()) captures.erase(captures.begin() + i);
  captures.push_back(stream->capture);
  return OK;
}
API int cuStreamEndCapture(void* handle, void** graph) {
  CALL("cuStreamEndCapture"); CONTEXT;
  Stream* stream = streamOf(handle);
  if (stream == nullptr) return INVALID_HANDLE;
  if (stream->capture == nullptr) return ILLEGAL_STATE;
  const std::shared_ptr<Capture> capture = std::move(stream->capture);
  stream->capture = nullptr;
  *graph = nullptr;
  if (!capture->valid) return CAPTURE_INVALIDATED;
  *graph = born("graph", new Graph(capture->graph));
  return OK;
}

API int cuGraphCreate(void** graph, unsigned flags) {
  CALL("cuGraphCreate");
  if (flags != 0) return INVALID_VALUE;
  *graph = born("graph", new Graph);
  return OK;
}
API int cuGraphDestroy(void* graph) {
  CALL("cuGraphDestroy");
  if (!lives("graph", graph)) return INVALID_VALUE;
  died("graph", graph);
  delete (Graph*)graph;
  return OK;
}
static int addNode(void** node, void* handle, void* const* dependencies, size_t count, GraphNode made) {
  auto* graph = (Graph*)handle;
  for (size_t i = 0; i < count; i++) {
    size_t at = 0;
    while (at < graph->nodes.size() && graph->nodes[at].get() != dependencies[i]) at++;
    if (at == graph->nodes.size()) return INVALID_VALUE;
    for (const size_t other : made.after) if (other == at) return INVALID_VALUE;
    made.after.push_back(at);
  }
  graph->nodes.push_back(std::make_shared<GraphNode>(std::move(made)));
  *node = graph->nodes.back().get();
  return OK;
}

// CUDA_KERNEL_NODE_PARAMS, the first version: later ones have more behind it.
struct KernelNodeParams {
  void* function;
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, shared;
  void** parameters;
  void** extra;
};
static_assert(sizeof(KernelNodeParams) == 56, "as CUDA_KERNEL_NODE_PARAMS_v1");
static int launchOfNode(const KernelNodeParams* p, std::shared_ptr<Launch>& launch) {
  return launchOf(p->function, {p->gridX, p->gridY, p->gridZ}, {p->blockX, p->blockY, p->blockZ}, p->shared, p->parameters, p->extra, launch);
}
API int cuGraphAddKernelNode(void** node, void* graph, void* const* dependencies, size_t count, const KernelNodeParams* params) {
  CALL("cuGraphAddKernelNode"); CONTEXT;
  if (!lives("graph", graph)) return INVALID_VALUE;
  GraphNode made{GraphNode::KERNEL, {}, nullptr, nullptr, nullptr};
  if (const int error = launchOfNode(params, made.launch)) return error;
  return addNode(node, graph, dependencies, count, std::move(made));
}
API int cuGraphAddChildGraphNode(void** node, void* graph, void* const* dependencies, size_t count, void* child) {
  CALL("cuGraphAddChildGraphNode"); CONTEXT;
  if (!lives("graph", graph) || !lives("graph", child)) return INVALID_VALUE;
  return addNode(node, graph, dependencies, count, {GraphNode::CHILD, {}, nullptr, std::make_shared<Graph>(*(Graph*)child), nullptr});
}

static Graph copyOf(const Graph& graph) {
  Graph copy;
  for (const auto& node : graph.nodes) copy.nodes.push_back(std::make_shared<GraphNode>(*node));
  return copy;
}
API int cuGraphInstantiateWithFlags(void** exec, void* graph, unsigned long long flags) {
  CALL("cuGraphInstantiateWithFlags"); CONTEXT;
  if (!lives("graph", graph) || flags != 0) return INVALID_VALUE;
  *exec = born("graphExec", new GraphExec{((Graph*)graph)->nodes, copyOf(*(Graph*)graph)});
  return OK;
}
API int cuGraphExecDestroy(void* exec) {
  CALL("cuGraphExecDestroy");
  if (!lives("graphExec", exec)) return INVALID_VALUE;
  died("graphExec", exec);
  delete (GraphExec*)exec;
  return OK;
}
// What runs for a node, to be changed: launches that were enqueued keep what they had.
static GraphNode* nodeOf(void* exec, void* node, GraphNode::Kind kind) {
  if (!lives("graphExec", exec)) return nullptr;
  auto* e = (GraphExec*)exec;
  for (size_t i = 0; i < e->origins.size(); i++) {
    if (e->origins[i].get() != node || e->origins[i]->kind != kind) continue;
    e->graph.nodes[i] = std::make_shared<GraphNode>(*e->graph.nodes[i]);
    return e->graph.nodes[i].get();
  }
  return nullptr;
}
API int cuGraphExecKernelNodeSetParams(void* exec, void* handle, const KernelNodeParams* params) {
  CALL("cuGraphExecKernelNodeSetParams"); CONTEXT;
  GraphNode* node = nodeOf(exec, handle, GraphNode::KERNEL);
  return node == nullptr ? (int)INVALID_VALUE : launchOfNode(params, node->launch);
}
API int cuGraphExecChildGraphNodeSetParams(void* exec, void* handle, void* child) {
  CALL("cuGraphExecChildGraphNodeSetParams"); CONTEXT;
  GraphNode* node = nodeOf(exec, handle, GraphNode::CHILD);
  if (node == nullptr || !lives("graph", child)) return INVALID_VALUE;
  const auto& now = node->child->nodes;
  const auto& next = ((Graph*)child)->nodes;
  bool alike = now.size() == next.size();
  for (size_t i = 0; alike && i < now.size(); i++) alike = now[i]->kind == next[i]->kind && now[i]->after == next[i]->after;
  if (!alike) return GRAPH_UPDATE_FAILURE;
  node->child = std::make_shared<Graph>(*(Graph*)child);
  return OK;
}

static void runGraph(const Graph& graph) {
  const size_t count = graph.nodes.size();
  std::vector<bool> done(count);
  for (size_t left = count; left > 0; left--) {
    for (size_t i = 0; i < count; i++) {
      const size_t at = (i + seed()) % count;
      const GraphNode& node = *graph.nodes[at];
      bool ready = !done[at];
      for (const size_t before : node.after) ready = ready && done[before];
      if (!ready) continue;
      if (node.kind == GraphNode::CHILD) runGraph(*node.child);
      else if (node.kind == GraphNode::OTHER) node.work();
      else if (node.launch != nullptr) runGrid(*node.launch);
      done[at] = true;
      break;
    }
  }
}
API int cuGraphLaunch(void* exec, void* where) {
  CALL("cuGraphLaunch"); CONTEXT;
  Stream* stream = streamOf(where);
  if (!lives("graphExec", exec) || stream == nullptr) return INVALID_VALUE;
  if (const int error = captureForbids(stream)) return error;
  stream->push([graph = ((GraphExec*)exec)->graph] { runGraph(graph); });
  return OK;
}
