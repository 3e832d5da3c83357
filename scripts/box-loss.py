#!/usr/bin/env python3
"""Prints the loss of boxes and its gradient by torchvision, for test/compile/build/box-loss.test.ts. Needs torchvision 0.29."""

import torch, math
from torchvision.ops import sigmoid_focal_loss, generalized_box_iou_loss
N,C,M=3,4,21
x=torch.tensor([math.sin(i*1.7)*2 + (1.5 if (i//M)%(4+C)<4 else 0) for i in range(N*(4+C)*M)],dtype=torch.float64).view(N,4+C,M).requires_grad_()
lab=torch.tensor([[(-2 if (i%13==0) else max(-1,(i*7)%9-5)) for i in range(n*M,(n+1)*M)] for n in range(N)])
dist=torch.tensor([[ [abs(math.cos((n*M+m)*4+k))*2+0.3 for k in range(4)] for m in range(M)] for n in range(N)],dtype=torch.float64)
dist[lab<0]=1
sc=x[:,4:].transpose(1,2); d=x[:,:4].transpose(1,2)
oh=torch.zeros_like(sc); 
for n in range(N):
  for m in range(M):
    if lab[n,m]>=0: oh[n,m,lab[n,m]]=1
f=sigmoid_focal_loss(sc,oh,0.25,2,'none')[lab>=-1].sum()
pos=lab>=0
P=max(1,int(pos.sum()))
def box(t): return torch.stack([-t[:,0],-t[:,1],t[:,2],t[:,3]],1)
ok=((d[pos][:,0]+d[pos][:,2]>0)&(d[pos][:,1]+d[pos][:,3]>0))
print('valid',ok.all().item(),P)
g=generalized_box_iou_loss(box(d[pos]),box(dist[pos]),'sum',eps=0)+ (d[pos]-dist[pos]).abs().mean(1).sum()
loss=(f+g)/P
loss.backward()
print(repr(loss.item()), [round(v,9) for v in x.grad.flatten()[[0,40,85,200,300,400,503]].tolist()], repr(x.grad.abs().sum().item()))
